"""Plans of endpoints: their bytes stay, and one that cannot be read is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from turnout.base import canonical
from turnout.base.errors import PlanError
from turnout.model.endpoint_plan import decode

(GOLDEN,) = (Path(__file__).parent / "golden" / "0.1").glob("endpoint-*.json")
DATA = GOLDEN.read_bytes().rstrip(b"\n")


def test_an_endpoint_of_every_release_is_read_and_keeps_its_digest():
    plan = decode(DATA)
    assert canonical.digest(DATA) == plan.digest == GOLDEN.stem.partition("-")[2]
    assert plan.encode() == DATA
    assert str(plan.where) == "delays.py:40"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 99}, "the plan has format 99; this turnout"),
        ({"format": 99, "colour": "red"}, "the plan has format 99; this turnout"),
        ({"runtime": "99.0.0"}, "the plan needs turnout 99.0.0 or newer on its workers"),
        ({"colour": "red"}, "the plan cannot be read: Object contains unknown field `colour`"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(change, told):
    with pytest.raises(PlanError, match=told):
        decode(canonical.encode({**json.loads(DATA), **change}), "the plan")
