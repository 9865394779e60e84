"""The plain form: every value comes back equal and of its type, and the same value gives the same bytes."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import Counter, OrderedDict, namedtuple
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag
from fractions import Fraction
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from turnout.base import canonical
from turnout.base.errors import ArtifactError
from turnout.components.materializer import Unfit
from turnout.materializers import plain
from turnout.materializers.sameness import same


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1


class Right(IntFlag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: float


Pair = namedtuple("Pair", "left right")  # noqa: PYI024


@dataclasses.dataclass
class Report:
    name: str
    scores: dict[str, float]
    colour: Colour = Colour.RED
    notes: tuple[str, ...] = ()
    derived: int = dataclasses.field(init=False, default=3)

    @functools.cached_property
    def slow(self) -> int:
        return len(self.scores)


@dataclasses.dataclass(frozen=True, order=True)
class Frozen:
    when: date
    inner: Report | None = None

    def __post_init__(self) -> None:
        if self.when.year < 1900:
            raise ValueError("too old")


@dataclasses.dataclass
class Slotted:
    __slots__ = ("a", "b")
    a: int
    b: list[int]


class Inner(pydantic.BaseModel):
    tags: set[str] = set()
    when: datetime | None = None


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", validate_assignment=True)

    size: int = pydantic.Field(alias="SIZE")
    inner: Inner = Inner()
    free: Any = None
    _secret: int = pydantic.PrivateAttr(default=1)

    @pydantic.field_validator("size", mode="before")
    @classmethod
    def doubled(cls, value: int) -> int:
        return value * 2


VALUES = [
    None,
    True,
    0,
    -(2**63),
    2**64,
    10**400,
    -(10**5000),
    0.1,
    -0.0,
    math.inf,
    -math.inf,
    5e-324,
    "",
    "a\r\nb\u2028ü",
    "\ud800 alone",
    b"",
    bytes(range(256)),
    bytearray(b"xy"),
    1 + 2j,
    complex(math.inf, -0.0),
    range(1, 9, 3),
    [],
    [1, [2.0, "3", None, True]],
    (),
    (1, (2,), [3]),
    {},
    {"b": 1, "a": {"z": 1, "y": 2}},
    {"$tuple": [1]},
    {"$keys": ["a"], "b": 1},
    {"": 0, "$": 1},
    {1: "a", "1": "b", None: 2, (1, 2): 3, False: 4},
    {"\ud800": 1},
    OrderedDict([("b", 1), ("a", 2)]),
    {1, 2, 3},
    {"x", 1, None, (1, 2)},
    frozenset({"b", "a"}),
    {frozenset({1}), frozenset()},
    Decimal("1.10"),
    Decimal("-0"),
    Fraction(1, 3),
    UUID(int=5),
    date(2026, 3, 1),
    datetime(2026, 3, 1, 12, 30, 0, 7),  # noqa: DTZ001
    datetime(2026, 3, 1, tzinfo=timezone.utc),
    datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
    time(1, 2, 3),
    time(1, 2, tzinfo=timezone.utc, fold=1),
    timedelta(days=-1, microseconds=1),
    Colour.BLUE,
    Level.LOW,
    Right.READ,
    Point(1, 2.0),
    Pair([1], None),
    Report("r", {"z": 1.0, "a": 2.0}, Colour.BLUE, ("n",)),
    [Frozen(date(2026, 1, 1), Report("r", {}))],
    Slotted(1, [2]),
    Model(SIZE=2, inner=Inner(tags={"b", "a"}), free=(1, {2}), extra_field=Decimal(1)),
    np.float64(0.5),
    np.float32(0.1),
    np.float16(2.5),
    np.int8(-3),
    np.uint64(2**64 - 1),
    np.bool_(True),
    np.str_("s"),
    np.bytes_(b"s"),
    np.complex64(1 + 2j),
    np.datetime64("2026-03-01T00:00:00.5", "ms"),
    np.timedelta64(3, "h"),
    np.datetime64("NaT", "D"),
    {"r2": np.float64(0.25), "n": np.int64(3)},
    pd.Timestamp("2026-03-01 10:00"),
    pd.Timestamp("2026-03-01 10:00:00.123456789", tz="UTC"),
    pd.Timestamp("2026-10-25 02:30", tz="UTC").tz_convert(ZoneInfo("Europe/Berlin")),
    pd.Timestamp("2026-03-01").as_unit("s"),
]


def through_a_record(value: Any) -> Any:
    return plain.lift(msgspec.json.decode(canonical.encode(plain.lower(value))))


def identical(left: Any, right: Any) -> bool:
    """Equal and of one type, all the way down, the order of a dict's keys included."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return identical(list(left.items()), list(right.items()))
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(identical, left, right))
    if isinstance(left, (float, np.floating)) and left == 0:
        return math.copysign(1, left) == math.copysign(1, right)
    return bool(left == right) or bool(left != left and right != right)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_round_trip(value: Any) -> None:
    assert identical(through_a_record(value), value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates() | st.decimals(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.text() | st.sampled_from(["$keys", "$tuple", "$"]), inner)
            | st.dictionaries(st.integers() | st.text(), inner)
            | st.tuples(inner, inner)
        ),
        max_leaves=8,
    )
)
def test_any_nesting_round_trips(value: Any) -> None:
    def shown(item: Any) -> str:  # a NaN is not equal to itself, and a signalling one cannot even be asked
        return repr(item)

    assert shown(through_a_record(value)) == shown(value)


def test_plain_json_is_itself_so_that_records_can_be_read() -> None:
    value = {"a": [1, 2.5, None, "x"], "b": {"c": True}}
    assert plain.lower(value) == value


def test_the_order_of_keys_is_kept_beside_them() -> None:
    tree = plain.lower({"r2": 0.5, "mae": 3})
    assert tree == {"r2": 0.5, "mae": 3, "$keys": ["r2", "mae"]}


def test_dict_order_survives() -> None:
    assert list(through_a_record({"z": 1, "a": 2, "m": 3})) == ["z", "a", "m"]


def test_the_result_shares_nothing_with_the_value() -> None:
    value = {"a": [1]}
    tree = plain.lower(value)
    value["a"].append(2)
    first = plain.lift(tree)
    first["a"].append(3)
    assert plain.lift(tree) == {"a": [1]}


def test_details_of_times_are_kept() -> None:
    moment = through_a_record(datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")))
    assert (moment.fold, moment.tzinfo.key, moment.utcoffset()) == (1, "Europe/Berlin", timedelta(hours=1))
    stamp = through_a_record(pd.Timestamp("2026-03-01").as_unit("s"))
    assert stamp.unit == "s"


def test_a_model_is_restored_without_its_validators() -> None:
    model = Model(SIZE=2)
    model._secret = 9
    back = through_a_record(model)
    assert (back.size, back._secret, back.model_fields_set) == (4, 9, {"size"})
    back.size = 5
    assert back.size == 10


def test_a_dataclass_is_restored_without_its_constructor() -> None:
    odd = Frozen(date(2026, 1, 1))
    object.__setattr__(odd, "when", date(1800, 1, 1))
    assert through_a_record(odd) == odd


def test_cached_properties_do_not_change_the_form() -> None:
    one, other = Report("r", {"a": 1.0}), Report("r", {"a": 1.0})
    assert one.slow == 1
    assert plain.lower(one) == plain.lower(other)


class Text(str):
    __slots__ = ()


def local_class() -> Any:
    @dataclasses.dataclass
    class Local:
        a: int = 1

    return Local()


def with_more() -> Report:
    report = Report("r", {})
    report.more = 1  # type: ignore[attr-defined]
    return report


UNFIT = [
    object(),
    Text("x"),
    Counter("ab"),
    local_class(),
    with_more(),
    Right.READ | Right.WRITE,
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1), "named")),
    np.longdouble(1),
    np.zeros(2),
    pd.DataFrame(),
    print,
    int,
    {"a": [object()]},
]


@pytest.mark.parametrize("value", UNFIT, ids=lambda value: type(value).__name__)
def test_what_has_no_plain_form_is_refused(value: Any) -> None:
    with pytest.raises(Unfit):
        plain.lower(value)


def test_a_dataclass_may_gain_a_field_with_a_default_and_no_other() -> None:
    tree = plain.lower(Report("r", {"a": 1.0}))
    _, state = tree["$dataclass"]
    del state["notes"]
    assert plain.lift(tree).notes == ()
    del state["name"]
    with pytest.raises(ArtifactError, match="has no field 'name', which has no default"):
        plain.lift(tree)
    state.update(name="r", gone=1)
    with pytest.raises(ArtifactError, match="it has no field 'gone' any more"):
        plain.lift(tree)


@pytest.mark.parametrize(
    "tree",
    [
        {"$nonsense": 1},
        {"$date": "yesterday"},
        {"$enum": ["os:system", "x"]},
        {"$enum": [f"{__name__}:Colour", "GREEN"]},
        {"$dataclass": ["subprocess:Popen", {"args": "true"}]},
        {"$namedtuple": ["builtins:list", []]},
        {"$model": ["no.such:Thing", {}]},
        {"$part": ["0", "table", "x"]},
        {"$decimal": "one"},
    ],
    ids=str,
)
def test_a_form_that_cannot_be_read_is_an_artifact_error(tree: Any) -> None:
    with pytest.raises(ArtifactError):
        plain.lift(tree)


def test_simplify_gives_what_a_guard_can_read() -> None:
    value = {"r2": np.float64(0.5), "shape": (np.int64(2), 3), "kind": Colour.RED, "tags": {"b", "a"}}
    assert plain.simplify(value) == {"r2": 0.5, "shape": [2, 3], "kind": "red", "tags": ["a", "b"]}
    assert type(plain.simplify(np.bool_(True))) is bool
    assert type(plain.simplify({"n": np.int64(2)})["n"]) is int


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (1.0, 1.0 + 1e-12, True),
        (1.0, 1.001, False),
        (math.nan, math.nan, True),
        (1, 1.0, False),
        (True, 1, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ([1, 2], (1, 2), False),
        ({1, 2}, {2, 1}, True),
        (Report("r", {"a": 1.0}), Report("r", {"a": 1.0 + 1e-13}), True),
        (Report("r", {"a": 1.0}), Report("r", {"a": 2.0}), False),
        (np.float32(1), np.float32(1.000001), True),
        (np.array([{"a": np.zeros(2)}], dtype=object), np.array([{"a": np.zeros(2)}], dtype=object), True),
        (np.array([{"a": np.zeros(2)}], dtype=object), np.array([{"a": np.ones(2)}], dtype=object), False),
        ([[1], [2]], [[1], [3]], False),
    ],
    ids=str,
)
def test_same(left: Any, right: Any, expected: bool) -> None:
    assert same(left, right) is expected
    assert same(right, left) is expected


def test_same_ends_for_values_that_hold_themselves() -> None:
    left: list[Any] = [1]
    right: list[Any] = [1]
    left.append(left)
    right.append(right)
    assert same(left, right)
    right[0] = 2
    assert not same(left, right)
