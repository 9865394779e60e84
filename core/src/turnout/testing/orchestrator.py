"""The suite an orchestrator must pass: whatever engine is behind it, a pipeline means the same.

A plugin's test file is one class::

    class TestMyEngine(OrchestratorSuite):
        @pytest.fixture
        def stack(self, tmp_path):
            return {"orchestrator": {"type": "mine", "url": "…"}, "artifact_store": {"root": str(tmp_path / "store")}}
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, get_args

import msgspec
import pytest

from turnout.api.launch import Launch
from turnout.api.run import Run
from turnout.base.errors import TurnoutError, UnsupportedError
from turnout.base.identity import run_id
from turnout.components.base import Config
from turnout.components.orchestrator import Bundle, RunHandle, RunStatus, StepStatus
from turnout.components.registry import Registry, discover
from turnout.model.capability import Capability, Support
from turnout.model.plan import Plan
from turnout.model.records import Options, RunState, State
from turnout.planning.publishing import publish_plan
from turnout.stores import layout
from turnout.testing import purity, structure
from turnout.testing.cases import ASKING, CASES, PASSWORD, SCRATCH, Case
from turnout.testing.corpus_project import Corpus, Stack, Submit, Trial
from turnout.testing.evidence import StepEvidence, evidence
from turnout.testing.suite import Suite

FAILING = next(case for case in CASES if case.name == "failing-branch")
WAS_HERE = "was_here"
"""What texts that try to be code would leave behind."""


class OrchestratorSuite(Suite):
    """Subclass it, name the subclass ``Test…``, and give the fixture ``stack``.

    What the orchestrator's ``capabilities`` refuse is tried as well: planning must refuse it, naming the line.
    ``submit`` may be given as a fixture, where starting a run takes more than :meth:`Orchestrator.submit`.
    ``patience`` is how many seconds a run may take; ``launchers`` are the modules of the plugin that emitted
    Python files may import, because they start steps and are never needed where the export is parsed.
    """

    patience: ClassVar[float] = 300.0
    launchers: ClassVar[tuple[str, ...]] = ()

    @pytest.fixture
    def stack(self) -> Stack:
        """A stack with the orchestrator and an empty artifact store: a mapping, YAML text, or the path of a file."""
        raise NotImplementedError("give the suite a fixture 'stack'")

    @pytest.fixture
    def submit(self) -> Submit:
        """How a planned pipeline is started, given parameters and options."""
        return Launch.submit

    @pytest.fixture
    def registry(self) -> Registry:
        """The plugins there are."""
        return discover()

    def check_bundle(self, bundle: Bundle, plan: Plan) -> None:
        """Parse a bundle as the engine would, and raise where that fails. Called for every pipeline of the corpus."""

    @pytest.fixture
    def trial(
        self,
        turnout_corpus: Corpus,
        stack: Stack,
        registry: Registry,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Trial:
        """The corpus, bound to the stack."""
        monkeypatch.setenv("TURNOUT_CACHE", str(turnout_corpus.folder / "cache"))
        folder = tmp_path / "trial"
        folder.mkdir()
        return Trial(turnout_corpus, stack, folder, registry)

    # what it says of itself

    def test_every_capability_is_answered(self, trial: Trial) -> None:
        capabilities = trial.orchestrator.supports
        missing = [one.value for one in Capability if one not in capabilities]
        assert not missing, f"say native, emulated or refused of {missing}"
        assert set(capabilities.values()) <= set(get_args(Support))
        fan_out = trial.orchestrator.fan_out
        assert fan_out is None or (capabilities[Capability.MAP] != "refused" and fan_out > 0)

    def test_settings_and_options_are_described(self, trial: Trial) -> None:
        cls = type(trial.orchestrator)
        for struct in (cls.Config, cls.options, cls.pipeline_options):
            if struct is None:
                continue
            assert issubclass(struct, Config), f"{struct.__name__} must be a subclass of turnout.plugin_api.Config"
            bare = [field.name for field in msgspec.structs.fields(struct) if not _description(field)]
            assert not bare, f'describe {bare} of {struct.__name__}: Annotated[…, Meta(description="…")]'

    @pytest.mark.parametrize("capability", ASKING, ids=lambda one: one.value)
    def test_what_is_refused_is_refused_while_planning(self, trial: Trial, capability: Capability) -> None:
        """And what is accepted by name is planned without it."""
        pipeline, refused = ASKING[capability], trial.refused
        if capability.value in refused:
            others = tuple(name for name in refused if name != capability.value)
            with pytest.raises(TurnoutError) as caught:
                trial.launch(pipeline, accept=others)
            assert_names_the_line(caught.value, capability)
        assert set(trial.launch(pipeline, accept=refused).plan.accepted) == set(refused)

    # what it compiles

    def test_compiling_is_pure(self, trial: Trial, tmp_path: Path) -> None:
        """The same plan gives the same bytes in any process, and nothing is written, sent or started."""
        plans = self._plans(trial)
        here = [purity.digest(trial.orchestrator.compile(plan)) for plan in plans]
        one = purity.compile_elsewhere(trial.orchestrator, plans, tmp_path / "one", 1, TZ="UTC", HOME=str(tmp_path))
        other = purity.compile_elsewhere(trial.orchestrator, plans, tmp_path / "other", 2, TZ="Asia/Tokyo", USER="x")
        assert one.effects == ()
        assert other.effects == ()
        for plan, digests in zip(plans, zip(here, one.digests, other.digests, strict=True), strict=True):
            assert len(set(digests)) == 1, f"{plan.name} compiles to other bytes in another process"

    def test_bundles_are_data(self, trial: Trial) -> None:
        """Relative paths within the bundle, an entrypoint among them, no secret."""
        for plan in self._plans(trial):
            bundle = trial.orchestrator.compile(plan)
            for name, data in bundle.files.items():
                path = PurePosixPath(name)
                assert not path.is_absolute(), name
                assert ".." not in path.parts, name
                assert path.as_posix() == name, name
                assert PASSWORD.encode() not in data, f"{name} of {plan.name} holds a secret's value"
            assert bundle.entrypoint in {*bundle.files, ""}
            assert not bundle.files or bundle.entrypoint

    def test_bundles_are_parsed_without_turnout(self, trial: Trial) -> None:
        allowed = tuple(f"{launcher}." for launcher in self.launchers)
        for plan in self._plans(trial):
            bundle = trial.orchestrator.compile(plan)
            for file, module in structure.imported(bundle):
                ours = module.partition(".")[0].partition("_")[0] == "turnout"
                assert not ours or f"{module}.".startswith(allowed), (
                    f"{file} imports {module}, which need not be installed where the engine parses it"
                )
            self.check_bundle(bundle, plan)

    def test_texts_never_become_code(self, trial: Trial) -> None:
        """Docstrings, defaults, tags and literals full of quotes and templates change no file but for their texts."""
        wild = trial.launch("quoted", accept=trial.refused).plan
        plain = structure.tamed(wild, WAS_HERE)
        assert plain.digest != wild.digest
        bundle = trial.orchestrator.compile(wild)
        expected = structure.structures(trial.orchestrator.compile(plain), plain)
        assert structure.structures(bundle, wild) == expected
        self.check_bundle(bundle, wild)

    # what it runs

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_a_case(self, trial: Trial, submit: Submit, turnout_corpus: Corpus, case: Case) -> None:
        """A pipeline of the corpus gives what it must, and what it gives on this machine without an engine."""
        refused = [need for need in case.needs if trial.support(need) == "refused"]
        if refused:
            with pytest.raises(TurnoutError) as caught:
                trial.launch(case.pipeline)
            assert_names_the_line(caught.value, refused[0])
            return
        run = trial.run(case, submit, self.patience)
        found = evidence(run)
        assert {step: one.state for step, one in found.items()} == case.states
        assert run.state == ("succeeded" if case.succeeds else "failed")
        for place, value in case.values.items():
            assert_value(trial, run, place, value)
        lengths = {f"{step}:{output}": n for step, one in found.items() for output, n in one.elements.items()}
        assert lengths == case.elements
        decided = {step: one.decision for step, one in found.items() if one.decision is not None}
        assert decided == case.decisions
        assert_failures_are_shown(run)
        assert_records_keep_the_rules(run)
        assert_no_secret(trial, run)
        keep = SCRATCH not in case.params.values()
        assert _comparable(found, keep) == _comparable(turnout_corpus.reference(case), keep)

    def test_a_run_is_known_by_the_engines_own_id(self, trial: Trial, submit: Submit) -> None:
        launch = trial.launch("linear")
        runs = [submit(launch, {"number": number}, Options(tags={"a": "b"}, no_cache=True)) for number in (1, 2)]
        assert runs[0].run_id != runs[1].run_id
        for number, handle in enumerate(runs, 1):
            assert handle.wait(self.patience) == "succeeded"
            plan = launch.plan
            assert handle.run_id == run_id(plan.project, plan.name, plan.instance, handle.engine_run)
            run = Run(handle.run_id, workspace=trial.workspace)
            assert run.params == {"number": number}
            assert run["double"].load() == 2 * number
            info = run.info
            assert (info.plan, info.orchestrator, info.engine_run) == (
                plan.digest,
                plan.orchestrator,
                handle.engine_run,
            )

    def test_the_status_of_a_run_can_be_asked(self, trial: Trial, submit: Submit) -> None:
        """By another instance, as another process has it; ``unknown`` is an answer, also for a run that never was."""
        run = trial.run(FAILING, submit, self.patience)
        asked = type(trial.orchestrator)(trial.orchestrator.config)
        status = asked.status(run.plan, run.info.engine_run)
        assert status.state in {"failed", "unknown"}
        assert_names_steps_of(status, run.plan)
        assert asked.status(run.plan, "no-such-run").state == "unknown"

    def test_a_failed_step_shows_in_its_log(self, trial: Trial, submit: Submit) -> None:
        run = trial.run(FAILING, submit, self.patience)
        asked = type(trial.orchestrator)(trial.orchestrator.config)
        lines = "\n".join(asked.logs(run.plan, run.info.engine_run, "fail"))
        assert "about to fail" in lines
        assert "RuntimeError: the step cannot deal with 1" in lines
        with contextlib.suppress(TurnoutError):
            assert "cannot deal" not in "\n".join(asked.logs(run.plan, run.info.engine_run, "lost"))

    def test_a_run_can_be_cancelled(self, trial: Trial, submit: Submit, tmp_path: Path) -> None:
        """Also by an instance that did not submit it, or that is refused properly; what is committed stays."""
        launch = trial.launch("patient")
        handle = submit(launch, {"scratch": str(tmp_path / "begun")}, Options(no_cache=True))
        self._until(tmp_path / "begun" / "begun", handle)
        assert handle.wait(0.01) == "running"
        other = type(trial.orchestrator)(trial.orchestrator.config)
        try:
            other.cancel(launch.plan, handle.engine_run)
        except UnsupportedError:
            handle.cancel()
        assert handle.wait(self.patience) in {"cancelled", "failed"}
        handle.cancel()
        run = Run(handle.run_id, workspace=trial.workspace)
        assert {step: one.state for step, one in evidence(run).items()} == {
            "start": "succeeded",
            "wait": "failed",
            "spell": "failed",
        }

    def test_publishing_runs_nothing(self, trial: Trial) -> None:
        launch = trial.launch("linear")
        store, plan = trial.workspace.store, launch.plan
        publish_plan(store, plan, launch.planned.package)
        bundle = trial.orchestrator.compile(plan)
        with contextlib.suppress(UnsupportedError):
            place = trial.orchestrator.publish(plan, bundle, store)
            assert place
            assert trial.orchestrator.publish(plan, bundle, store) == place, "publishing again changes nothing"
        assert list(store.children(layout.runs(plan.project))) == []

    def _plans(self, trial: Trial) -> list[Plan]:
        names = sorted({case.pipeline for case in CASES} | {"demands", "scheduled", "patient"})
        return [trial.launch(name, accept=trial.refused).plan for name in names]

    def _until(self, file: Path, handle: RunHandle) -> None:
        limit = time.monotonic() + self.patience
        while not file.exists():
            assert time.monotonic() < limit, f"the step has not begun within {self.patience:g} seconds"
            assert handle.wait(0.1) == "running", "the run ended before the step began"


def assert_names_the_line(error: TurnoutError, capability: Capability) -> None:
    """See that a refusal says where it is asked for, and how to go without."""
    found = [one for one in getattr(error, "errors", (error,)) if f"--accept {capability.value}" in (one.fix or "")]
    assert found, f"{capability.value} is not refused by name: {error}"
    for one in found:
        assert isinstance(one, UnsupportedError), one
        assert str(one.where).startswith("corpus_pipelines.py:"), one


def assert_value(trial: Trial, run: Run, place: str, value: Any) -> None:
    """See that an output is a value, by the value itself and by its digest."""
    label, _, output = place.partition(":")
    step = run[label]
    output = output or next(iter(step.outputs))
    assert step.load(output) == value, place
    assert step.outputs[output].digests == trial.expected_digests(run, step.name, output, value), place


def assert_failures_are_shown(run: Run) -> None:
    """See that what failed is told from what waited for it, also where its process was killed: by an attempt that
    whoever started it puts on record, or by what ``status`` says of the step."""
    for step in run:
        if all(run[name].state in {"succeeded", "skipped"} for name in step.plan.upstream):
            assert step.state != "not run", f"{step.label} failed, and nothing says so"


def assert_records_keep_the_rules(run: Run) -> None:
    """See that commits are made as they must be, whoever called the runtime."""
    for (step, index), summary in run.summaries.items():
        record = summary.record
        if record is None:
            assert summary.attempts or summary.lost, f"{summary.label} left a folder without a record or an attempt"
            assert all(attempt.state == "failed" for attempt in summary.attempts), summary.label
            continue
        assert (record.run, record.plan, record.step, record.index) == (run.id, run.info.plan, step, index)
        assert record.sealed, f"{summary.label} did not run in a sealed process"
        if record.state == "skipped":
            assert index is None, f"{summary.label}: a mapped step is skipped whole"
            assert record.reason
            assert not record.outputs
            continue
        assert record.attempt in {attempt.id for attempt in summary.attempts if attempt.state == "succeeded"}
        assert (record.value is not None) == (run.plan.by_name[step].kind == "gate")
        assert set(record.outputs) == {output.name for output in run.plan.by_name[step].outputs}


def assert_no_secret(trial: Trial, run: Run) -> None:
    """See that no object of the store and no log shows the secret."""
    store = trial.workspace.store
    forms = [PASSWORD.encode(), msgspec.json.encode(PASSWORD)[1:-1]]
    for entry in store.list(""):
        data = store.read(entry.key) or b""
        assert not any(form in data for form in forms), f"{entry.key} shows the secret"
    if "unlock" in run.plan.by_name:
        for line in trial.orchestrator.logs(run.plan, run.info.engine_run, "unlock"):
            assert PASSWORD not in line


def assert_names_steps_of(status: RunStatus, plan: Plan) -> None:
    """See that a status speaks of the plan's steps, in the words there are for it."""
    assert status.state in get_args(RunState)
    words = {*get_args(State), "waiting", "running"}
    for step in status.steps:
        assert isinstance(step, StepStatus)
        assert step.step in plan.by_name
        assert step.state in words


def _comparable(found: Mapping[str, StepEvidence], keep_inputs: bool) -> dict[str, StepEvidence]:
    return {
        step: one if keep_inputs else msgspec.structs.replace(one, inputs={}, cache_key="")
        for step, one in found.items()
    }


def _description(field: msgspec.structs.FieldInfo) -> str:
    info = msgspec.inspect.type_info(field.type)
    extra = info.extra_json_schema if isinstance(info, msgspec.inspect.Metadata) else None
    return str((extra or {}).get("description", ""))
