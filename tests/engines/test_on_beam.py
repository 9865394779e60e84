"""The five pipelines on Beam's DirectRunner: the same records, digest for digest, as a local run."""

from __future__ import annotations

from typing import Any

import pytest
from cases import CASES, Case
from installed import need

IN_PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_on_beam(case: Case, workshop: Any, run_script: Any) -> None:
    need("apache-beam", "2.77")
    assert run_script("beam", case) == workshop.reference(case).evidence


@pytest.mark.parametrize("case", [case for case in CASES if case.pipeline == "fan"], ids=lambda case: case.name)
def test_on_beam_in_two_processes(case: Case, workshop: Any, run_script: Any) -> None:
    need("apache-beam", "2.77")
    assert run_script("beam-processes", case, *IN_PROCESSES) == workshop.reference(case).evidence
