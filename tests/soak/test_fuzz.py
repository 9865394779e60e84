"""The fuzzers of `tests/security/test_fuzz.py`, thousands of rounds each, by a seed that is printed."""

from __future__ import annotations

import os
import random
import time

import mutations
import mutations_of_work
import pytest
from mutations import CANARY, Shop, check_written

ROUNDS = int(os.environ.get("TURNOUT_FUZZ_ROUNDS", "2500"))


@pytest.mark.parametrize("kind", ["document", "plan", "params", "stack", "command", "export", "work"])
def test_thousands_of_mutations(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("TURNOUT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FUZZ_TOKEN", CANARY)
    for name in ("TURNOUT_STACK", "TURNOUT_STORE", "TURNOUT_PARAMS"):
        monkeypatch.delenv(name, raising=False)
    shop = Shop(tmp_path / "shop")
    monkeypatch.chdir(shop.root)
    shop.fill()
    seed = int(os.environ.get("TURNOUT_FUZZ_SEED", str(time.time_ns() % 1_000_000)))
    print(f"TURNOUT_FUZZ_SEED={seed}")
    chance = random.Random(seed)
    action = getattr(mutations if hasattr(mutations, f"fuzz_{kind}") else mutations_of_work, f"fuzz_{kind}")
    for _ in range(ROUNDS // 4 if kind == "work" else ROUNDS):
        action(shop, chance)
    check_written(shop.root, tmp_path / "cache")
