"""What turnout holds every feature store to: the rows it was given, and the types that its views declare."""

import pandas as pd
import pyarrow as pa
import pytest

from turnout.base.errors import ConfigError, PluginError, RunError
from turnout.features import retrieval
from turnout.plugin_api import ROW, Config, FeatureStore, FeatureView


class Store(FeatureStore[Config]):
    """Answers whatever a test wants, and keeps what it was asked."""

    name = "odd"
    views = (
        FeatureView(name="v", keys={"k": "int64"}, timestamp="t", features={"x": "int64", "y": "string"}),
        FeatureView(
            name="w", keys={"k": "int32", "l": "string"}, timestamp="t", features={"z": "double", "x": "int64"}
        ),
        FeatureView(name="computed", keys={}, timestamp="t", features={"sum": "double"}, inputs={"a": "double"}),
        FeatureView(name="text", keys={"k": "string"}, timestamp="t", features={"s": "string"}),
        FeatureView(name="away", keys={"k": ""}, timestamp="t", problem="the view 'away' has no file"),
    )

    def __init__(self, answer):
        super().__init__(Config())
        self.answer, self.described = answer, 0

    def historical(self, entities, features, *, keys, timestamp, inputs=(), known_at=False):
        self.entities, self.keys, self.timestamp = entities, keys, timestamp
        return self.answer(entities)

    def online(self, entities, features, *, keys, inputs=()):
        self.entities = entities
        return self.answer(entities)

    def describe(self):
        self.described += 1
        return self.views

    materialize = push = version = resolve = None


Store.__abstractmethods__ = frozenset()


def rows(table, order=None, **columns):
    found = table.select([ROW]) if order is None else table.select([ROW]).take(pa.array(order, pa.int64()))
    return pa.table({ROW: found[ROW], **{name: pa.array(values) for name, values in columns.items()}})


TABLE = pa.table({"k": [1, 2, 3], "t": pa.array([1, 2, 3], pa.timestamp("us"))})


def ask(answer, table=TABLE, features=("v:x",), **more):
    return retrieval.historical(Store(answer), table, features, **more)


def test_rows_in_another_order_are_put_back():
    result = ask(lambda table: rows(table, [2, 0, 1], x=[30, 10, 20]))
    assert result["x"].to_pylist() == [10, 20, 30]
    assert result["k"].to_pylist() == [1, 2, 3]


@pytest.mark.parametrize("order", [[0, 1], [0, 1, 2, 2], [0, 1, 1], []], ids=["dropped", "doubled", "both", "none"])
def test_a_store_cannot_drop_or_double_rows(order):
    with pytest.raises(PluginError, match="gave other rows than it was asked for"):
        ask(lambda table: rows(table, order, x=[1] * len(order)))


def test_a_store_cannot_make_rows_up():
    with pytest.raises(PluginError, match="made up"):
        ask(lambda table: pa.table({ROW: [0, 1, 7], "x": [1, 2, 3]}))


@pytest.mark.parametrize("lost", [ROW, "x"])
def test_a_store_gives_every_column(lost):
    with pytest.raises(PluginError, match=f"gave no column '{lost}'"):
        ask(lambda table: rows(table, x=[1, 2, 3]).drop_columns([lost]))


def test_values_have_the_types_that_views_declare():
    result = ask(lambda table: rows(table, x=[1.0, None, 3.0]))
    assert result["x"].type == pa.int64()
    with pytest.raises(RunError, match="came as string, where its view declares int64"):
        ask(lambda table: rows(table, x=["a", "b", "c"]))


def test_a_store_is_given_no_more_than_it_needs():
    table = pd.DataFrame({"id": [7.0, None, 7.5], "when": ["2026-01-01", None, "2026-01-02T03:00+01:00"], "rest": 1})
    store = Store(lambda table: rows(table, x=[1] * len(table)))
    result = retrieval.historical(store, table, ["v:x"], keys={"k": "id"}, timestamp="when")
    assert store.entities.column_names == [ROW, "id", "when"]
    assert store.entities.schema.types == [pa.int64(), pa.int64(), pa.timestamp("us", "UTC")]
    assert store.entities["id"].to_pylist() == [7, None]
    assert store.entities[ROW].to_pylist() == [0, 2]
    assert (store.keys, store.timestamp) == ({"k": "id"}, "when")
    assert result["x"].isna().tolist() == [False, True, False]
    assert list(result.columns) == ["id", "when", "rest", "x"]


def test_online_looks_views_up_once():
    store = Store(lambda table: rows(table, x=[1, 2, 3]))
    for _ in range(3):
        retrieval.online(store, TABLE, ["v:x"])
    assert store.described == 1


@pytest.mark.parametrize(
    ("features", "more", "message"),
    [
        (("v:x", "w:x"), {}, "'v:x' and 'w:x' would become columns of one name"),
        (("w:z",), {"entity": "id"}, "has the keys k, l, of which 'id' is none"),
        (("v:x",), {"keys": {"kk": "id"}}, "no feature is looked up by the key 'kk'. Did you mean 'k'"),
        (("v:x", "text:s"), {}, "the key 'k' of the feature view 'text' is string, where another view has int64"),
        (("computed:sum",), {}, "is computed from a, which a request must bring"),
        (("v:x",), {"inputs": ["a"]}, "no feature is computed from the input 'a'"),
        (("away:x",), {}, "the view 'away' has no file"),
        (("v:x",), {"known_at": True}, "the feature view 'v' cannot say what was known at a time"),
    ],
)
def test_what_cannot_be_answered_is_refused_before_the_store_is_asked(features, more, message):
    def answer(_):
        raise AssertionError

    with pytest.raises(ConfigError) as caught:
        ask(answer, features=features, **more)
    assert message in str(caught.value)
    assert caught.value.fix


def test_views_may_have_whole_numbers_of_other_widths_as_one_key():
    store = Store(lambda table: rows(table, y=["a", "b", "c"], z=[1.0, 2.0, 3.0]))
    table = TABLE.append_column("l", pa.array(["a", "b", "c"]))
    retrieval.historical(store, table, ["v:y", "w:z"])
    assert store.entities["k"].type == pa.int64()


def test_facts_for_the_record():
    _, facts = retrieval.joined(Store(lambda table: rows(table, x=[1, 2, 3])), TABLE, ["v:x"])
    assert facts == {
        "features": ["v:x"],
        "feature_rows": 3,
        "features_from": "1970-01-01T00:00:00.000001+00:00",
        "features_until": "1970-01-01T00:00:00.000003+00:00",
    }
