"""Pipelines on Beam by hand, without the adapter: the same records, digest for digest, as a local run."""

from __future__ import annotations

from typing import Any

import pytest
from cases import CASES, Case
from installed import need

IN_PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
SOME = [case for case in CASES if case.name in {"diamond", "fan", "guards-bad", "given-up"}]


@pytest.fixture(autouse=True)
def beam() -> None:
    need("apache-beam", "2.77")


@pytest.mark.parametrize("case", SOME, ids=lambda case: case.name)
def test_on_beam(case: Case, workshop: Any, run_script: Any) -> None:
    assert run_script("beam", case) == workshop.reference(case).evidence


@pytest.mark.parametrize("case", [case for case in SOME if case.succeeds], ids=lambda case: case.name)
def test_every_step_twice_at_once(case: Case, workshop: Any, run_script: Any) -> None:
    evidence = run_script("beam-twice", case, *IN_PROCESSES, copies=2)
    expected = workshop.reference(case).evidence
    assert evidence._replace(attempts={}) == expected._replace(attempts={})
    assert evidence.attempts.keys() == expected.attempts.keys()
