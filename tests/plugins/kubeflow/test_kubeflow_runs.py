"""The state of a run is what its records say, whatever Kubeflow calls it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from turnout.model.records import Mark, encode
from turnout.plugin_api import DriverRun, RunStatus
from turnout.stores import layout
from turnout.stores.local import LocalStore
from turnout.testing.plans import sample_plan, sample_step
from turnout_kubeflow.run import KubeflowRun
from turnout_kubeflow.settings import KubeflowSettings

PLAN = sample_plan(sample_step("fit"))


@pytest.fixture
def store(tmp_path):
    return LocalStore.from_url(str(tmp_path))


def successful(kind, folder, store):
    """A run of which kfp says that all went well."""
    if kind == "local":
        process = SimpleNamespace(poll=lambda: 0, wait=lambda timeout=None: 0)
        run = DriverRun(PLAN, "native", folder, process, store, lambda change: None)
        store.create(layout.attempt("sample", run.run_id, "fit", None, "one"), b"{}")  # it has begun
        return run
    server = SimpleNamespace(status=lambda engine_run, steps: RunStatus(state="succeeded"))
    return KubeflowRun(PLAN, "native", server, KubeflowSettings(), store, lambda change: None)


@pytest.mark.parametrize("kind", ["local", "server"])
@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        (["succeeded"], "succeeded"),
        (["failed"], "failed"),
        (["failed", "succeeded"], "succeeded"),
        (["cancelled"], "cancelled"),
    ],
)
def test_a_success_of_kfps_is_none_of_ours(kind, marks, expected, store, tmp_path):
    run = successful(kind, tmp_path, store)
    for number, state in enumerate(marks):
        mark = Mark(time="2026-01-31T12:00:00Z", state=state, open={})
        store.create(layout.mark("sample", run.run_id, number), encode(mark))
    assert run.wait(1) == expected


def test_without_a_word_of_ours_it_is_kubeflows_which_the_records_are_held_against(store, tmp_path):
    assert successful("local", tmp_path, store).wait(1) == "failed"
    assert successful("server", tmp_path, store).wait(1) == "succeeded"
