"""Running a step of a run once more, as it was: nothing of it reaches the store, a tracker or an observer."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from turnout.base import canonical, names
from turnout.base.errors import RunError, TurnoutError
from turnout.base.redaction import STARS
from turnout.components.artifact_store import ArtifactStore
from turnout.components.policy import Policy
from turnout.components.registry import Registry
from turnout.model.documents import read_info
from turnout.model.plan import Plan, StepPlan
from turnout.model.records import Logged, OutputRecord, Record, RunInfo
from turnout.runtime.code import WorkTree
from turnout.runtime.execution import Executed, StepFailed, execute
from turnout.runtime.resolution import Done, Skip, Wait
from turnout.runtime.session import Session
from turnout.stores import layout
from turnout.stores.overlay import Overlay
from turnout.stores.stored_run import Run, read_plan

CodeOf = Literal["run", "here"]


class Compared(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An output of a replay, held against the record.

    ``equal`` is None where there is no record to hold it against; ``by`` says how outputs of different digests were
    found equal: ``comparator`` is their materializer's.
    """

    digests: tuple[str, ...]
    types: tuple[str, ...] = ()
    recorded: tuple[str, ...] | None = None
    equal: bool | None = None
    by: Literal["digest", "comparator"] = "digest"


class Replay(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a step came to when it was run once more; ``recorded`` is its state in the run."""

    run: str
    step: str
    index: int | None = None
    code: CodeOf = "run"
    python: str = ""
    state: Literal["succeeded", "failed"]
    recorded: Literal["succeeded", "failed"]
    outputs: dict[str, Compared] = {}
    value: bool | None = None
    logged: Logged = Logged()
    message: str = ""
    traceback: str = ""

    @property
    def equal(self) -> bool | None:
        """Whether every output is as recorded; None where nothing can be said."""
        known = [one.equal for one in self.outputs.values() if one.equal is not None]
        return all(known) if known else None


class Stage(NamedTuple):
    """A step set up to be run once more: a session over an overlay, and what was recorded."""

    session: Session
    step: StepPlan
    element: int | None
    record: Record | None


def stage(
    store: ArtifactStore[Any],
    plan: Plan,
    info: RunInfo,
    label: tuple[str, int | None],
    scratch: Path,
    *,
    project: Path | None = None,
    in_process: bool = False,
    registry: Registry | None = None,
    readers: tuple[Policy[Any], ...] | None = None,
) -> Stage:
    """Set up a step, or one element of a mapped step, of a run.

    Args:
        scratch: a folder for all that is written; its owner removes it.
        readers: the policies that are asked before something is read; by default those of the plan.
        project: take the code of the project in this folder, as it is now; else the run's package.
        in_process: whether this is a user's own process, where the project is imported already.

    Raises:
        RunError: when the step was skipped, was not run but replaced, or its inputs are not there.
    """
    name, index = label
    run = Run(Overlay(store, scratch), plan, msgspec.structs.replace(info, effects=False))
    session = Session(run, in_process=in_process, registry=registry, readers=readers)
    if project is not None:
        session.code = WorkTree(plan.code, project)
    step = plan.by_name[name]
    shown = names.label(name, index)
    if step.mapped and index is None:
        raise RunError(f"{name} is mapped: one of its elements can be replayed", fix=f"name one: {name}.0")
    count = session.resolver.count(name) if step.mapped else None
    if index is not None and count is not None and index >= count:
        raise RunError(f"{name} has {count} elements in the run {info.id}", fix=f"name one: {name}.0")
    match session.resolver.decide(name, index):
        case Done(record=record) if record.state == "succeeded":
            return Stage(session, step, index, record)
        case Done(record=Record(reason=reason)) | Skip(reason=reason):
            raise RunError(f"{shown} was skipped in the run {info.id}", why=reason or None, fix="replay another step")
        case Wait(on=waits):
            raise RunError(
                f"the inputs of {shown} are not there in the run {info.id}",
                why=f"not committed are {', '.join(waits[:5])}",
                fix=f"replay {waits[0]}",
            )
    return Stage(session, step, index, None)


def perform(staged: Stage) -> Executed:
    """Run the step; what it is given are the recorded inputs, and the recorded values of its declared variables.

    Raises:
        StepFailed: when it fails, as the runtime raises it.
    """
    session, step, index, record = staged
    before = dict(os.environ)
    declared = {} if record is None else record.key_parts.get("env", {})
    try:
        for name, value in declared.items():
            if value is None:
                os.environ.pop(name, None)
            elif STARS not in value:
                os.environ[name] = value
        return execute(session, step, index)
    finally:
        for name in declared:
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


def report(staged: Stage, done: Executed | StepFailed, code: CodeOf = "run") -> Replay:
    """What a replay came to, held against the record."""
    session, step, index, record = staged
    replay = Replay(
        run=session.run.info.id,
        step=step.name,
        index=index,
        code=code,
        python=sys.executable,
        state="failed",
        recorded="failed" if record is None else "succeeded",
        logged=done.logged,
    )
    if isinstance(done, StepFailed):
        failure = done.failure
        return msgspec.structs.replace(replay, message=failure.message, traceback=failure.traceback)
    found = {} if record is None else record.outputs
    outputs = {name: _compared(session, output, found.get(name)) for name, output in done.outputs.items()}
    return msgspec.structs.replace(replay, state="succeeded", outputs=outputs, value=done.value)


def _compared(session: Session, now: OutputRecord, before: OutputRecord | None) -> Compared:
    mine, types = now.digests, tuple(dict.fromkeys(artifact.type for artifact in now.artifacts))
    if before is None:
        return Compared(digests=mine, types=types)
    if mine == before.digests:
        return Compared(digests=mine, types=types, recorded=before.digests, equal=True)
    pairs = list(zip(now.artifacts, before.artifacts, strict=False))
    try:
        same = len(mine) == len(before.digests) and all(session.artifacts.equal(one, other) for one, other in pairs)
    except TurnoutError:
        same = False  # what was recorded is not there to be compared: the digests do differ
    return Compared(digests=mine, types=types, recorded=before.digests, equal=same, by="comparator")


def main(arguments: list[str]) -> int:
    """``python -m turnout.runtime replay``: a replay in a sealed process, its report written to a file.

    Returns:
        0 when the step was run, whatever it came to; 2 when it could not be.
    """
    from turnout.runtime.store import worker_store

    parser = argparse.ArgumentParser(prog="python -m turnout.runtime replay")
    for name in ("--project", "--run", "--step"):
        parser.add_argument(name, required=True)
    parser.add_argument("--report", type=Path, required=True, help="the file that the report is written to")
    parser.add_argument("--index", type=int)
    parser.add_argument("--here", type=Path, help="take the code of the project in this folder")
    parser.add_argument("--pdb", action="store_true", help="stop where the step fails")
    parser.add_argument("--quiet", action="store_true", help="what the step prints goes to standard error")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="turnout-replay-") as scratch:
        try:
            store = worker_store()
            key = layout.run(given.project, given.run)
            info = read_info(store.read(key) or b"", given.project, given.run, key)
            plan = read_plan(store, info.plan)
            staged = stage(store, plan, info, (given.step, given.index), Path(scratch), project=given.here)
        except TurnoutError as error:
            print(f"turnout: {error}", file=sys.stderr)
            return 2
        try:
            with redirect_stdout(sys.stderr) if given.quiet else nullcontext():
                done = _performed(staged, stop=given.pdb)
            given.report.write_bytes(canonical.encode(report(staged, done, "here" if given.here else "run")))
        finally:
            staged.session.close()
    return 0


def _performed(staged: Stage, *, stop: bool) -> Executed | StepFailed:
    try:
        return perform(staged)
    except StepFailed as failed:
        import bdb

        if stop and failed.cause.__traceback__ is not None and not isinstance(failed.cause, bdb.BdbQuit):
            import pdb  # noqa: T100

            print(failed.failure.traceback or failed.failure.message, file=sys.stderr, flush=True)
            pdb.post_mortem(_theirs(failed.cause))
        return failed


def _theirs(error: BaseException) -> Any:
    """Where a debugger starts: the traceback from the first frame that is not turnout's own, if there is one."""
    from turnout.runtime.failures import NOT_THE_USERS

    cause = error.__cause__ if isinstance(error, TurnoutError) and error.__cause__ is not None else error
    found = cause.__traceback__
    for frame, _ in traceback.walk_tb(found):
        if not frame.f_code.co_filename.startswith(NOT_THE_USERS):
            break
        found = None if found is None else found.tb_next
    return found or error.__traceback__
