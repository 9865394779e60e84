"""The plan as a document: canonical bytes, round trips, formats, its published schema, plans of earlier releases."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turnout import __version__
from turnout.base import canonical
from turnout.base.errors import PlanError
from turnout.model.expressions import And, Compare, Const, Contains, Index, Not, Or, Ref
from turnout.model.inputs import Collected, Element, InputSpec, Literal, Output, Param
from turnout.model.plan import (
    FORMAT,
    MINIMUM_RUNTIME,
    Code,
    Component,
    Environment,
    OutputPlan,
    Plan,
    StepPlan,
    Worker,
    decode,
    json_schema,
)
from turnout.model.settings import Resources, Retry
from turnout.model.spec import Entrypoint, ParamSpec, Place, Schedule
from turnout.model.types import ParamType, TypeName

GOLDEN = Path(__file__).parent / "golden"
DOCS = Path(__file__).parents[3] / "docs"

names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8"), max_size=12)
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | finite | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
scalar_kinds = st.sampled_from(
    ["int", "float", "bool", "str", "datetime", "date", "timedelta", "json", "file", "folder"]
)
param_types = st.recursive(
    st.builds(
        ParamType,
        kind=scalar_kinds,
        optional=st.booleans(),
        choices=st.lists(st.integers(-9, 9) | texts | st.booleans(), max_size=2).map(tuple),
    ),
    lambda inner: st.builds(ParamType, kind=st.sampled_from(["list", "dict"]), items=inner.map(lambda one: (one,))),
    max_leaves=3,
)
type_names = st.builds(
    TypeName,
    name=st.sampled_from(["any", "builtins:int", "pandas.core.frame:DataFrame"]),
    bases=st.lists(texts, max_size=2).map(tuple),
    text=texts,
    optional=st.booleans(),
    collection=st.booleans(),
)
places = st.none() | st.builds(Place, file=texts, line=st.integers(1, 9999))
entrypoints = st.builds(Entrypoint, module=names, qualname=names, value=st.none() | digests)
expressions = st.recursive(
    st.builds(Ref, input=names) | st.builds(Const, value=json_values),
    lambda inner: st.one_of(
        st.builds(Index, base=inner, key=texts | st.integers(-3, 3)),
        st.builds(Compare, op=st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), left=inner, right=inner),
        st.builds(Contains, item=inner, container=inner),
        st.builds(Not, operand=inner),
        st.builds(And, left=inner, right=inner),
        st.builds(Or, left=inner, right=inner),
    ),
    max_leaves=4,
)
components = st.builds(Component, type=names, config=st.dictionaries(names, json_values, max_size=2))


@st.composite
def steps(draw, name, earlier):
    """A step or gate that needs some of the *earlier* ones, by every kind of source."""
    sources = [st.builds(Literal, value=json_values, type=param_types), st.builds(Param, name=names)]
    for kind in (Output, Element, Collected) if earlier else ():
        sources.append(st.builds(kind, step=st.sampled_from(earlier), output=names))
    inputs = st.dictionaries(names, st.builds(InputSpec, source=st.one_of(sources), type=type_names), max_size=3)
    gate = draw(st.booleans())
    guards = st.lists(st.sampled_from(earlier), max_size=2, unique=True) if earlier else st.just([])
    return StepPlan(
        name=name,
        kind="gate" if gate else "task",
        entrypoint=None if gate else draw(entrypoints),
        inputs=draw(inputs),
        expression=draw(expressions) if gate else None,
        guards=tuple(draw(guards)),
        outputs=() if gate else tuple(draw(st.lists(st.builds(OutputPlan, name=names, type=type_names), max_size=2))),
        retry=draw(st.builds(Retry, count=st.integers(0, 9), delay=finite, backoff=finite)),
        timeout=draw(st.none() | finite),
        resources=draw(
            st.builds(
                Resources,
                cpu=finite,
                memory=st.integers(0, 2**60) | st.just("4Gi"),
                gpu=st.integers(0, 8),
                accelerator=st.none() | texts,
            )
        ),
        image=draw(st.none() | texts),
        secrets=draw(st.dictionaries(names, texts, max_size=2)),
        env=tuple(draw(st.lists(names, max_size=2))),
        files=draw(st.dictionaries(texts, digests, max_size=2)),
        cache=draw(st.booleans() | finite),
        options=draw(st.dictionaries(names, st.dictionaries(names, json_values, max_size=2), max_size=2)),
        fingerprint=draw(st.just("") | digests),
        doc=draw(texts),
        place=draw(places),
    )


@st.composite
def plans(draw):
    """A plan with a random graph of up to six steps."""
    known: list[str] = []
    made = []
    for number in range(draw(st.integers(0, 6))):
        name = draw(st.sampled_from(["", "group.", "outer.inner."])) + f"s_{number}"
        made.append(draw(steps(name, tuple(known))))
        known.append(name)
    return Plan(
        runtime=MINIMUM_RUNTIME,
        project=draw(names),
        name=draw(names),
        entrypoint=draw(entrypoints),
        params=tuple(
            draw(
                st.lists(
                    st.builds(ParamSpec, name=names, type=param_types, required=st.booleans(), default=json_values),
                    max_size=2,
                )
            )
        ),
        steps=tuple(made),
        schedule=draw(st.none() | st.builds(Schedule, cron=texts, catchup=st.booleans())),
        tags=draw(st.dictionaries(texts, texts, max_size=2)),
        doc=draw(texts),
        place=draw(places),
        orchestrator=draw(names),
        stack=draw(names),
        worker=draw(st.builds(Worker, tracker=components, observers=st.lists(components, max_size=2).map(tuple))),
        code=Code(digest=draw(digests), roots=("src", ".")),
        environments={
            "default": Environment(python="3.11", pins=("a==1",), local=draw(st.just({}) | st.just({"b": "0"})))
        },
        accepted=tuple(draw(st.lists(names, max_size=2))),
    )


validator = jsonschema.Draft202012Validator(json_schema())


@settings(max_examples=60, deadline=None)
@given(plans())
def test_a_plan_survives_its_bytes(plan):
    data = plan.encode()
    again = decode(data)
    assert again == plan
    assert again.encode() == data
    assert again.digest == plan.digest == canonical.digest(data)
    document = json.loads(data)
    assert document["format"] == FORMAT
    assert canonical.encode(msgspec.json.decode(data)) == data
    validator.validate(document)


@settings(max_examples=30, deadline=None)
@given(plans(), st.randoms())
def test_the_order_of_mappings_does_not_count(plan, random):
    def shuffled(value):
        if isinstance(value, dict):
            keys = list(value)
            random.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    document = shuffled(json.loads(plan.encode()))
    assert decode(json.dumps(document).encode()).digest == plan.digest


SMALL = Plan(
    runtime="0.1.0",
    project="house",
    name="daily",
    entrypoint=Entrypoint(module="house", qualname="daily"),
    steps=(StepPlan(name="read", entrypoint=Entrypoint(module="house", qualname="read")),),
    orchestrator="local",
    stack="local",
    code=Code(digest="0" * 64),
)


def test_canonical_bytes():
    assert SMALL.encode() == (
        b'{"code":{"digest":"' + b"0" * 64 + b'"},"entrypoint":{"module":"house","qualname":"daily"},"format":2,'
        b'"name":"daily","orchestrator":"local","project":"house","runtime":"0.1.0","stack":"local",'
        b'"steps":[{"entrypoint":{"module":"house","qualname":"read"},"name":"read"}]}'
    )


def test_equal_plans_have_equal_bytes_however_they_were_made():
    said = msgspec.structs.replace(
        SMALL,
        worker=Worker(tracker=Component(type="none"), secrets=Component(type="env", config={})),
        steps=(
            msgspec.structs.replace(SMALL.steps[0], retry=Retry(count=0), resources=Resources(memory=0), timeout=None),
        ),
    )
    assert said == SMALL
    assert said.encode() == SMALL.encode()


@pytest.mark.parametrize(
    "change",
    [
        {"format": FORMAT + 1, "runtime": "7.0.0"},
        {"runtime": "0.9.0"},
        {"colour": "red"},
        {"steps": [{"name": "read", "speed": 3}]},
        {"steps": [{"name": "read", "inputs": {"x": {"source": {"kind": "telepathy"}}}}]},
        {"steps": "read"},
        {"format": "1"},
    ],
    ids=["format", "runtime", "field", "field_of_a_step", "kind_of_input", "type", "no_format"],
)
def test_what_cannot_be_read_is_refused_by_name(change, snapshot):
    document = {**json.loads(SMALL.encode()), **change}
    with pytest.raises(PlanError) as caught:
        decode(canonical.encode(document), "the plan 0123456789ab")
    assert str(caught.value).replace(__version__, "VERSION") == snapshot


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b'{"format":1}', b"null"])
def test_what_is_no_plan_is_refused(data):
    with pytest.raises(PlanError, match=r"the plan x cannot be read[^$]*fix: "):
        decode(data, "the plan x")


def test_an_older_minimum_is_no_hindrance():
    assert decode(msgspec.structs.replace(SMALL, runtime="0.0.1").encode()).runtime == "0.0.1"


def test_the_published_schema_is_up_to_date():
    shown = (DOCS / "plan.schema.json").read_bytes()
    assert shown == canonical.pretty(json_schema()), (
        "write it anew: python -c 'import sys; from turnout.base import canonical; from turnout.model import plan; "
        "sys.stdout.buffer.write(canonical.pretty(plan.json_schema()))' > docs/plan.schema.json"
    )


def test_the_schema_is_one_and_forbids_what_it_does_not_know():
    jsonschema.Draft202012Validator.check_schema(json_schema())
    document = json.loads(SMALL.encode())
    validator.validate(document)
    for wrong in ({"colour": "red"}, {"steps": [{"name": "x", "speed": 1}]}, {"format": "1"}, {"code": None}):
        assert not validator.is_valid({**document, **wrong}), wrong


@pytest.mark.parametrize(
    "file", sorted(GOLDEN.rglob("complete-*.json")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_plans_of_every_release_are_read_and_keep_their_digest(file):
    data = file.read_bytes().rstrip(b"\n")
    plan = decode(data, file.name)
    assert canonical.digest(data) == plan.digest == file.stem.partition("-")[2]
    validator.validate(json.loads(data))


def test_a_golden_plan_has_every_kind_of_thing():
    (data,) = (path.read_bytes() for path in (GOLDEN / "0.1").glob("complete-*.json"))
    plan = decode(data.rstrip(b"\n"))
    sources = {type(given.source) for step in plan.steps for given in step.inputs.values()}
    assert sources == {Literal, Param, Output, Element, Collected}
    assert {step.kind for step in plan.steps} == {"task", "gate"}
    assert any(step.group for step in plan.steps)
    assert any(step.guards for step in plan.steps)
    assert {param.source for param in plan.params} == {"value", "logical_time"}
    for field in ("retry", "timeout", "resources", "secrets", "env", "files", "cache", "doc", "place", "image"):
        assert any(getattr(step, field) != getattr(SMALL.steps[0], field) for step in plan.steps), field


def test_the_graph_of_a_plan():
    plan = decode(next((GOLDEN / "0.1").glob("complete-*.json")).read_bytes().rstrip(b"\n"))
    for step in plan.steps:
        for name in step.upstream:
            assert step.name in plan.downstream[name]
    seen: set[str] = set()
    for step in plan.steps:
        assert set(step.upstream) <= seen
        seen.add(step.name)
    assert plan.by_name[plan.steps[-1].name] is plan.steps[-1]
