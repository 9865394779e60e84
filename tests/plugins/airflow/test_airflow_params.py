"""Parameters through Airflow, whose database sorts objects, knows no -0.0, and whose schema checks what is given."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import jsonschema
import pytest

from turnout.model.values import convert
from turnout.plugin_api import Options, ParamSpec, ParamType
from turnout.runtime import parameters
from turnout.testing.plans import sample_plan, sample_step
from turnout_airflow.params import params, schema, sent

FLOATS = ParamType(kind="dict", items=(ParamType(kind="float"),))
PAIR = ParamType(kind="list", sequence="fixed", items=(ParamType(kind="int"), ParamType(kind="str")))
TIMES = ParamType(kind="list", items=(ParamType(kind="datetime"),))
ANYTHING = ParamType(kind="json", optional=True)
SHADES = ParamType(kind="list", items=(ParamType(kind="str", choices=("red", "blue"), enum="shop:Shade"),))
PARIS = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Paris"), fold=1)

GIVEN = {
    "order": (FLOATS, {"z": 1.0, "a": 2.0, "bb": 3.0}),
    "sorted": (FLOATS, {"aa": 1.0, "b": 2.0}),
    "own keys": (ANYTHING, {"$keys": ["a"], "$tuple": [1]}),
    "tuple": (ANYTHING, {"z": (1, 2), "a": [1, 2]}),
    "tuple of a sequence": (ParamType(kind="list", items=(ParamType(kind="int"),), sequence="any"), (1, 2)),
    "pair": (PAIR, (2, "b")),
    "sign": (ParamType(kind="float"), -0.0),
    "sign inside": (FLOATS, {"b": -0.0, "a": 0.0}),
    "exponent": (ANYTHING, [1e300, 1.5]),
    "large": (ParamType(kind="int"), 2**70),
    "large inside": (ANYTHING, {"n": 2**70, "text": str(2**70)}),
    "zone": (ParamType(kind="datetime"), PARIS),
    "offset": (ParamType(kind="datetime"), datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-3)))),
    "naive": (ParamType(kind="datetime"), datetime(2026, 1, 2)),  # noqa: DTZ001
    "utc": (ParamType(kind="datetime"), datetime(2026, 1, 2, tzinfo=timezone.utc)),
    "times": (TIMES, [PARIS, datetime(2026, 1, 2, tzinfo=timezone.utc)]),
    "members": (SHADES, ["red", "blue"]),
    "span": (ParamType(kind="timedelta"), timedelta(seconds=1.5)),
    "text": (ParamType(kind="str"), "[naive]"),
    "none": (ParamType(kind="int", optional=True), None),
}


def through_postgres(value):
    """What a column of the type JSONB makes of a value: keys by their length, numbers without sign and exponent."""
    if isinstance(value, dict):
        return {key: through_postgres(value[key]) for key in sorted(value, key=lambda key: (len(key), key))}
    if isinstance(value, list):
        return [through_postgres(item) for item in value]
    if isinstance(value, float):
        return 0.0 if value == 0 else int(value) if abs(value) >= 1e16 else value
    return value


def bound(spec, given):
    plan = sample_plan(sample_step("fit"), params=(spec,))
    return parameters.bind(plan, given, Options())[spec.name]


@pytest.mark.parametrize("name", GIVEN)
def test_a_submitted_value_arrives_as_it_was_given(name):
    type_, value = GIVEN[name]
    canonical = convert(value, type_, "x", canonical=False)
    conf = json.loads(json.dumps(through_postgres(sent(canonical, type_))))
    jsonschema.validate(conf, schema(type_, exact=True), format_checker=jsonschema.FormatChecker())
    found = bound(ParamSpec(name="x", type=type_), {"x": conf})
    assert repr(found) == repr(canonical) or json.dumps(found, sort_keys=True) == json.dumps(canonical, sort_keys=True)
    assert not isinstance(found, float) or math.copysign(1, found) == math.copysign(1, canonical)


@pytest.mark.parametrize("name", GIVEN)
def test_a_default_arrives_as_it_was_given(name):
    type_, value = GIVEN[name]
    spec = ParamSpec(name="x", type=type_, required=False, default=convert(value, type_, "x", canonical=False))
    made = {}

    def param(default, **described):
        made.update(default=default, schema={key: value for key, value in described.items() if key != "description"})

    eval(params((spec,), exact=False), {"Param": param})
    jsonschema.validate(made["default"], made["schema"], format_checker=jsonschema.FormatChecker())
    found = bound(spec, {"x": json.loads(json.dumps(through_postgres(made["default"])))})
    assert json.dumps(found, sort_keys=True) == json.dumps(spec.default, sort_keys=True)


def test_a_default_is_shown_as_it_was_written():
    spec = ParamSpec(
        name="x", type=FLOATS, required=False, default=convert({"z": 1, "a": 2}, FLOATS, "x", canonical=False)
    )
    assert 'Param({"z": 1.0, "a": 2.0}, type="object"' in " ".join(params((spec,), exact=False).split()).replace(
        "( ", "("
    )
