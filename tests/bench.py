"""A bench to try the runtime on: plans made by hand for a project written by the test, called as an engine would."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from turnout.model.inputs import Collected, Element, InputSpec, Literal, Output, Param
from turnout.model.plan import Code, OutputPlan, Plan, StepPlan
from turnout.model.records import Attempt, Mark, Options, Record, RunInfo, StepResult, Submission
from turnout.model.spec import Entrypoint, ParamSpec
from turnout.model.types import ParamType, TypeName
from turnout.planning.publishing import publish_plan
from turnout.project import code as packages
from turnout.project.project import load
from turnout.runtime.finish import finish_run
from turnout.runtime.joining import join
from turnout.runtime.session import Session
from turnout.runtime.step import run_step
from turnout.stores.local import LocalStore

_numbers = itertools.count()


class Bench:
    """A project, a store, and one plan at a time of steps that are functions of the project's only module."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "project"
        self.root.mkdir()
        (self.root / "pyproject.toml").write_text("[project]\nname = 'bench'\nversion = '1'\n")
        self.module = f"bench_{next(_numbers)}"
        self.store = LocalStore.from_url(str(folder / "store"))
        self.plan: Plan
        self.registry = None

    # making plans

    def write(self, source: str) -> None:
        """Write the project's module."""
        (self.root / f"{self.module}.py").write_text(textwrap.dedent(source))

    def make(self, *steps: StepPlan, **fields: Any) -> Plan:
        """Publish a plan of these steps, from now on the bench's."""
        package = packages.build(load(self.root))
        fields.setdefault("runtime", "0.1.0")
        fields.setdefault("orchestrator", "local")
        self.plan = Plan(
            project="bench",
            name="demo",
            entrypoint=Entrypoint(module=self.module, qualname="demo"),
            stack="local",
            steps=steps,
            code=Code(digest=package.digest),
            **fields,
        )
        publish_plan(self.store, self.plan, package)
        return self.plan

    def step(self, name: str, function: str | None = None, *, lists: bool = False, **fields: Any) -> StepPlan:
        """A step; keywords that are no fields of a step are its inputs: specs, or literals."""
        known = set(StepPlan.__struct_fields__)
        inputs = {key: self.given(value) for key, value in fields.items() if key not in known}
        fields = {key: value for key, value in fields.items() if key in known}
        kind = TypeName(name="builtins:object", text="list" if lists else "object", collection=lists, optional=True)
        fields.setdefault("outputs", (OutputPlan(name="output", type=kind),))
        entrypoint = Entrypoint(module=self.module, qualname=function or name)
        return StepPlan(name=name, entrypoint=entrypoint, inputs={**inputs, **fields.pop("inputs", {})}, **fields)

    @staticmethod
    def gate(name: str, expression: Any, **inputs: Any) -> StepPlan:
        """A guard."""
        given = {key: Bench.given(value) for key, value in inputs.items()}
        return StepPlan(name=name, kind="gate", expression=expression, inputs=given)

    @staticmethod
    def given(value: Any) -> InputSpec:
        """An input: a spec as it is, anything else as a literal."""
        return value if isinstance(value, InputSpec) else InputSpec(source=Literal(value=value))

    @staticmethod
    def out(step: str, output: str = "output", **type_: Any) -> InputSpec:
        """A whole output of a step."""
        return InputSpec(source=Output(step=step, output=output), type=TypeName(**type_))

    @staticmethod
    def each(step: str, output: str = "output") -> InputSpec:
        """One element."""
        return InputSpec(source=Element(step=step, output=output))

    @staticmethod
    def all(step: str, output: str = "output", **type_: Any) -> InputSpec:
        """What a mapped step gave."""
        return InputSpec(source=Collected(step=step, output=output), type=TypeName(**type_))

    @staticmethod
    def param(name: str, /, **type_: Any) -> InputSpec:
        """A parameter of the pipeline."""
        return InputSpec(source=Param(name=name), type=TypeName(**type_))

    @staticmethod
    def declare(name: str, kind: Any, **fields: Any) -> ParamSpec:
        """A parameter's declaration."""
        type_ = ParamType(
            kind=kind, **{key: fields.pop(key) for key in ("optional", "items", "choices") if key in fields}
        )
        return ParamSpec(name=name, type=type_, required="default" not in fields and "source" not in fields, **fields)

    # calling

    def open(
        self, params: dict[str, Any] | None = None, *, run: str = "run 1", plan: Plan | None = None, **options: Any
    ) -> Session:
        """A new worker's session, in this process."""
        submission = Submission(params=params or {}, options=Options(**options))
        digest = (plan or self.plan).digest
        return join(self.store, digest, run, submission, in_process=True, registry=self.registry)

    def call(self, step: str, index: int | None = None, params: Any = None, **options: Any) -> StepResult:
        """One call of a step by a new worker."""
        session = self.open(params, **options)
        try:
            return run_step(session, step, index)
        finally:
            session.close()

    def run(self, params: Any = None, **options: Any) -> dict[str, int]:
        """Call every step once, elements of maps included, and finish; the counts of the finish mark."""
        session = self.open(params, **options)
        for step in self.plan.steps:
            count = session.resolver.count(step.name) if step.mapped else None
            for index in [None] if count is None else range(count):
                run_step(session, step.name, index)
        return finish_run(session).steps

    def process(self, *arguments: str, run: str = "run 1", **environ: str | None) -> subprocess.CompletedProcess[str]:
        """``python -m turnout.runtime`` in a process of its own; a variable that is None is not set."""
        command = [sys.executable, "-m", "turnout.runtime", arguments[0]]
        if "--plan" not in arguments:
            command += ["--plan", self.plan.digest]
        if "--engine-run" not in arguments:
            command += ["--engine-run", run]
        given = {**os.environ, "TURNOUT_STORE": str(self.folder / "store"), **environ}
        return subprocess.run(
            [*command, *arguments[1:]],
            env={name: value for name, value in given.items() if value is not None},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @staticmethod
    def outcome(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
        """The last line of a process's output."""
        return json.loads(done.stdout.splitlines()[-1])

    # looking

    def run_folder(self, run: str = "run 1") -> Path:
        """The run's folder in the store."""
        return self.folder / "store" / "bench" / "runs" / self.open(run=run).run.info.id

    def record(self, step: str, index: int | None = None, **options: Any) -> Record | None:
        """A step's record."""
        return self.open(**options).run.record(step, index)

    def value(self, step: str, index: int | None = None, output: str = "output", **options: Any) -> Any:
        """A step's output."""
        session = self.open(**options)
        record = session.run.record(step, index)
        assert record is not None, f"{step} is not committed"
        return session.artifacts.load_output(record.outputs[output])

    def documents(self, pattern: str, kind: Any) -> list[Any]:
        """The documents of all runs that match, in order of their paths."""
        runs = self.folder / "store" / "bench" / "runs"
        return [msgspec.json.decode(path.read_bytes(), type=kind) for path in sorted(runs.glob(pattern))]

    def attempts(self, step: str, index: int | None = None) -> list[Attempt]:
        """A step's attempts in the order in which they ended."""
        name = step if index is None else f"{step}.{index}"
        return sorted(self.documents(f"*/steps/{name}/attempts/*.json", Attempt), key=lambda one: one.ended)

    def marks(self) -> list[Mark]:
        """The finish marks."""
        return [mark for mark in self.documents("*/marks/*.json", Mark) if mark.kind == "finish"]

    def infos(self) -> list[RunInfo]:
        """Every ``run.json``."""
        return self.documents("*/run.json", RunInfo)

    def everything(self) -> bytes:
        """Every byte in the store."""
        files = sorted(path for path in (self.folder / "store").rglob("*") if path.is_file())
        return b"\n".join(str(path).encode() + b"\n" + path.read_bytes() for path in files)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench of this test alone; the import path and the modules are as before when it is over."""
    monkeypatch.setenv("TURNOUT_CACHE", str(tmp_path / "cache"))
    for name in ("TURNOUT_STORE", "TURNOUT_PARAMS", "TURNOUT_SEALED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    made = Bench(tmp_path)
    yield made
    sys.modules.pop(made.module, None)
