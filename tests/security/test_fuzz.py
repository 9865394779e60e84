"""Fuzzers, a few rounds each: any traceback of turnout's own, escape or secret is a failure.

The rounds are the same each time, so that what fails does so for a reason; `make soak` draws thousands anew.
"""

from __future__ import annotations

import random
from pathlib import Path

import mutations
import mutations_of_work
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import CANARY, Shop, check_written

KINDS = ("document", "plan", "params", "stack", "command", "export", "work")
ROUNDS = {"export": 20, "work": 12}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A project with runs on record; what the fuzzers write is looked through in the end."""
    folder: Path = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TURNOUT_CACHE", str(folder / "cache"))
        patch.setenv("FUZZ_TOKEN", CANARY)
        for name in ("TURNOUT_STACK", "TURNOUT_STORE", "TURNOUT_PARAMS"):
            patch.delenv(name, raising=False)
        made = Shop(folder / "shop")
        patch.chdir(made.root)
        made.fill()
        yield made
    check_written(made.root, folder / "cache")


@pytest.mark.parametrize("kind", KINDS)
def test_no_traceback_no_escape_no_secret(shop, kind):
    action = getattr(mutations_of_work if kind in ROUNDS else mutations, f"fuzz_{kind}")

    @settings(
        max_examples=ROUNDS.get(kind, 40),
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.integers(0, 2**32))
    def fuzz(seed):
        action(shop, random.Random(seed))

    fuzz()
