"""The five pipelines on kfp.local: the same records, digest for digest, as a local run."""

from __future__ import annotations

from typing import Any

import pytest
from cases import CASES, Case
from installed import need


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_on_kfp(case: Case, workshop: Any, run_script: Any) -> None:
    need("kfp", "2.17")
    assert run_script("kfp", case) == workshop.reference(case).evidence
