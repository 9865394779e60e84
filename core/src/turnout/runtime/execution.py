"""Calling the user's function: its inputs read, its surroundings set, its outputs saved."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import msgspec

from turnout.base import context
from turnout.base.errors import (
    ArtifactError,
)
from turnout.base.redaction import Redactor, refusal
from turnout.model.expressions import evaluate
from turnout.model.plan import StepPlan
from turnout.model.records import Failure, Logged, OutputRecord
from turnout.runtime import arguments, feature_versions, forking, log_records, profiles
from turnout.runtime.effects import withheld
from turnout.runtime.failures import describe
from turnout.runtime.forbidden import artifacts_of
from turnout.runtime.printing import redacted_output
from turnout.runtime.session import Session
from turnout.tracking.logged import StepLog


class Executed(msgspec.Struct, frozen=True):
    """What running a step gave: its outputs, a gate's decision, and what it logged."""

    outputs: dict[str, OutputRecord]
    value: bool | None
    logged: Logged


class StepFailed(Exception):
    """A step raised; ``cause`` is what it raised, ``failure`` what goes on record."""

    def __init__(self, cause: BaseException, failure: Failure, logged: Logged) -> None:
        super().__init__(failure.message)
        self.cause = cause
        self.failure = failure
        self.logged = logged


def execute(session: Session, step: StepPlan, index: int | None, *, tracked: bool = False) -> Executed:
    """Run a step that can run now.

    Args:
        tracked: whether the tracker may surround the function, and is handed what it logs as it comes.

    Raises:
        StepFailed: whatever went wrong, in the user's code or around it.
    """
    redactor, sender = session.components.redactor, session.tracking.sender if tracked else None
    log = StepLog(lambda: session.artifacts, redactor, lambda: session.components.feature_store, sender)
    try:
        if step.kind == "gate":
            assert step.expression is not None
            values = {name: arguments.plain(session, source) for name, source in step.inputs.items()}
            return Executed({}, evaluate(step.expression, values), Logged())
        if step.effect and (why := withheld(session)):
            return Executed(_save(session, step, {"done": False, "why": why}), None, Logged())
        environ = {variable: session.components.secret(name) for variable, name in step.secrets.items()}
        with _output(session), _surroundings(session, step, environ), forking.only_here():
            assert step.entrypoint is not None
            function = session.code.load(step.entrypoint)
            given = {name: arguments.argument(session, step, index, function, name) for name in step.inputs}
            if not session.in_process:
                log_records.show()
            context.activate(log)
            try:
                feature_versions.read_before(session, step)
                log.tags = feature_versions.tags(session, step)
                with session.tracking.around() if tracked else nullcontext():
                    result = function(**given)
                feature_versions.check_unchanged(session, step)
            finally:
                context.activate(None)
            del given
            outputs = _save(session, step, result)
        outputs, logged = profiles.allowed(step, outputs, log.collected())
        _refuse_secrets(step, redactor, outputs, logged)
        session.components.enforce_artifacts(step.name, artifacts_of(outputs, logged))
        return Executed(outputs, None, logged)
    except BaseException as error:
        _, logged = profiles.allowed(step, {}, log.collected())
        if _hold_secret(redactor, {}, logged):
            logged = msgspec.structs.replace(logged, artifacts={})
        raise StepFailed(error, describe(session, step, error), logged) from error


def _refuse_secrets(step: StepPlan, redactor: Redactor, outputs: dict[str, OutputRecord], logged: Logged) -> None:
    if _hold_secret(redactor, outputs, logged):
        raise refusal(step.name)


def _hold_secret(redactor: Redactor, outputs: dict[str, OutputRecord], logged: Logged) -> bool:
    """Whether artifacts hold a secret in what a record has of them; their files were looked through before."""
    artifacts = list(artifacts_of(outputs, logged)) if redactor else []
    return any(redactor.finds(artifact.value) or redactor.finds(artifact) for artifact in artifacts)


def _output(session: Session) -> AbstractContextManager[None]:
    components = session.components
    return redacted_output(components.redactor) if components.may_see_secrets else nullcontext()


def _save(session: Session, step: StepPlan, result: Any) -> dict[str, OutputRecord]:
    if not step.outputs:
        return {}
    values = (result,) if len(step.outputs) == 1 else result
    if not isinstance(values, (tuple, list)) or len(values) != len(step.outputs):
        given = f"{len(values)} values" if isinstance(values, (tuple, list)) else f"a {type(result).__name__}"
        raise ArtifactError(
            f"{step.name} declares {len(step.outputs)} outputs and returned {given}",
            where=None if step.place is None else f"{step.place.file}:{step.place.line}",
            fix="return a tuple with one value for each declared output",
        )
    for output, value in zip(step.outputs, values, strict=True):
        if output.check is not None:
            arguments.check(value, output.check, f"the output {output.name!r} of {step.name}")
    return {
        output.name: session.artifacts.save(value, output) for output, value in zip(step.outputs, values, strict=True)
    }


@contextmanager
def _surroundings(session: Session, step: StepPlan, environ: dict[str, str]) -> Iterator[None]:
    """The step's own folder and the secrets as variables, while it runs."""
    before = dict(os.environb)
    try:
        with step_folder(session, step):
            os.environ.update(environ)
            yield
    finally:
        _restore(before)


@contextmanager
def step_folder(session: Session, step: StepPlan) -> Iterator[None]:
    """A fresh working directory with the step's declared files in it."""
    home, folder = _here(), _empty_folder(session.work)
    try:
        for name in step.files:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(session.code.folder / name, target)
        os.chdir(folder)
        yield
    finally:
        os.chdir(home)
        if _left_in(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _empty_folder(work: Path) -> Path:
    """A folder with nothing in it: the last step's, where that left it so."""
    folder = work / "step"
    left = _left_in(folder)
    if left is None:
        with suppress(FileExistsError):  # a step may have put a file in its place
            folder.mkdir()
            return folder
    return folder if left == [] else Path(tempfile.mkdtemp(prefix="step-", dir=work))


def _left_in(folder: Path) -> list[Path] | None:
    """What lies in a folder; None where there is none."""
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _here() -> Path:
    """The current folder; a temporary one where it has been removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path(tempfile.gettempdir())


def _restore(before: dict[bytes, bytes]) -> None:
    """Undo what a step has changed among the variables: as bytes and each read once, which halves what it costs."""
    now = dict(os.environb)
    for name in now.keys() - before.keys():
        del os.environb[name]
    for name, value in before.items():
        if now.get(name) != value:
            os.environb[name] = value
