"""Which of an endpoint's versions garbage collection keeps."""

from __future__ import annotations

import pytest

from turnout.base.canonical import digest_of, encode
from turnout.catalog.deployed import Deployed, forget, history, kept, live, remember
from turnout.catalog.liveness import holdings
from turnout.model.endpoint_plan import EndpointPlan
from turnout.model.inputs import Output
from turnout.model.plan import Code, Environment
from turnout.model.spec import Entrypoint
from turnout.stores import layout
from turnout.stores.local import LocalConfig, LocalStore


def deployed(version: str, share: float = 1.0, stack: str = "local") -> Deployed:
    plan = EndpointPlan(
        project="shop",
        name="delay",
        pipeline="train",
        entrypoint=Entrypoint(module="delays", qualname="delay"),
        requests=(),
        steps=(),
        answer=Output(step="predict", output="output"),
        stack=stack,
        code=Code(digest=digest_of(version)),
        environment=Environment(python="3.11"),
    )
    return Deployed(plan=plan, time="2026-01-01T00:00:00Z", by="ann", stack=stack, share=share)


@pytest.fixture
def store(tmp_path):
    return LocalStore(LocalConfig(root=str(tmp_path / "store")))


CASES = {
    "the newest and two before": ([("a", 1), ("b", 1), ("c", 1), ("d", 1)], {1, 2, 3}),
    "one version deployed again counts once": ([("a", 1), ("b", 1), ("a", 1), ("a", 1), ("c", 1)], {0, 1, 2, 3, 4}),
    "a live canary, and the live version below many canaries": (
        [("a", 1), ("b", 0.1), ("c", 0.1), ("d", 0.2)],
        {0, 3},
    ),
    "a canary that something newer replaced is let go of": ([("a", 1), ("b", 0.1), ("c", 1)], {0, 2}),
    "what cannot be read is kept": ([("a", 1), None, ("b", 1), ("c", 1), ("d", 1)], {1, 2, 3, 4}),
}


@pytest.mark.parametrize("case", CASES)
def test_kept(case):
    versions, places = CASES[case]
    assert kept([None if one is None else deployed(*one) for one in versions]) == places


def test_each_stack_keeps_its_own():
    prod = [deployed(version, stack="prod") for version in "xy"]
    assert kept([*prod, *(deployed(version) for version in "abcd")]) == {0, 1, 3, 4, 5}


def test_the_collection_asks_for_them(store):
    for version, share in (("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 0.1)):
        remember(store, deployed(version, share))
    store.create(layout.endpoint("shop", "delay", 5), b"cut short")
    keys = [entry.key for entry in holdings(store).roots]
    assert keys == [layout.endpoint("shop", "delay", n) for n in (1, 2, 3, 4, 5)]


def test_what_is_live_and_what_is_forgotten(store):
    assert live(store, "shop", "delay", "local") is None
    for one in (deployed("a"), deployed("b", stack="prod"), deployed("c", 0.1)):
        remember(store, one)
    assert live(store, "shop", "delay", "local") == deployed("a").plan
    forget(store, "shop", "delay", "local")
    assert [encode(one) for one in history(store, "shop", "delay")] == [encode(deployed("b", stack="prod"))]
