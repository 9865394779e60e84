"""The local runs that the engines are held against do what the cases say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cases import BIG, CASES, DESCRIBED, NASTY, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_local_run(case: Case, workshop: Any) -> None:
    evidence = workshop.reference(case).evidence
    assert evidence.states == case.states
    assert evidence.finish["state"] == ("succeeded" if case.succeeds else "failed")


def test_attempts_are_the_engines(workshop: Any) -> None:
    by_name = {case.name: case for case in CASES}
    assert workshop.reference(by_name["retry"]).evidence.attempts["flaky"] == ["failed", "succeeded"]
    assert workshop.reference(by_name["given-up"]).evidence.attempts["flaky"] == ["failed", "failed", "failed"]


def test_parameters_arrive_as_declared(workshop: Any) -> None:
    (case,) = (case for case in CASES if case.name == "parameters")
    evidence = workshop.reference(case).evidence
    assert evidence.params["big"] == BIG
    assert evidence.params["text"] == NASTY
    records = workshop.store.glob("engines/runs/*/steps/describe/record.json")
    (described,) = (json.loads(record.read_text())["outputs"]["output"]["artifact"]["value"] for record in records)
    assert {name: described[name] for name in DESCRIBED} == DESCRIBED
