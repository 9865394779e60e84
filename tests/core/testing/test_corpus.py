"""The corpus says of itself what is true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from turnout.model.capability import Capability
from turnout.model.plan import decode
from turnout.planning.capabilities import uses
from turnout.testing.cases import ASKING, CASES, LONG
from turnout.testing.corpus_project import Trial


@pytest.fixture
def trial(turnout_corpus, tmp_path):
    return Trial(turnout_corpus, {"artifact_store": {"root": str(tmp_path / "store")}}, tmp_path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_needs_what_its_pipeline_asks_for(trial, case):
    assert set(case.needs) == {use.capability for use in uses(trial.pipeline(case.pipeline).spec)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_speaks_of_every_step(trial, case):
    plan = trial.launch(case.pipeline).plan
    assert {label if label in plan.by_name else label.rpartition(".")[0] for label in case.states} >= {
        step.name for step in plan.steps if not step.mapped
    }
    for place in (*case.values, *case.elements):
        label, _, output = place.partition(":")
        step = plan.by_name[label if label in plan.by_name else label.rpartition(".")[0]]
        assert case.states[label] == "succeeded"
        assert not output or output in {one.name for one in step.outputs}


def test_for_each_capability_that_planning_can_refuse_a_pipeline_asks(trial):
    by_hand = {Capability.BY_VALUE}  # a function of a notebook cannot lie in a file
    asked = {use.capability for name in set(ASKING.values()) for use in uses(trial.pipeline(name).spec)}
    assert asked == set(ASKING)
    assert set(Capability) - asked - by_hand == {
        Capability.SCHEDULE,
        Capability.ASSET_SCHEDULE,
        Capability.CATCHUP,
        Capability.PARAMS,
        Capability.DOCS,
    }


def test_the_longest_name_is_as_long_as_any_may_be(turnout_corpus):
    assert len(LONG) == 100
    assert turnout_corpus.module.LONG == LONG


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_plan_is_the_same_in_memory_as_read_again(trial, case):
    """In the order of its mappings as well: an adapter walks over them."""
    plan = trial.launch(case.pipeline).plan
    again = decode(plan.encode())
    assert again == plan
    assert _in_order(again) == _in_order(plan)


def _in_order(plan):
    return json.dumps([plan.tags, *([list(step.inputs), step.upstream, list(step.secrets)] for step in plan.steps)])


def test_the_page_lists_every_case():
    lines = (Path(__file__).parents[3] / "docs" / "conformance.md").read_text().splitlines()
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines if line.startswith("|")]
    assert rows[2:] == [(case.name, case.pipeline, ", ".join(need.value for need in case.needs)) for case in CASES]
