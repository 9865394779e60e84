"""Calling the user's function: its inputs read, its surroundings set, its outputs saved."""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import turnout
from turnout import context
from turnout.errors import ArtifactError, TurnoutError
from turnout.plan.model import StepPlan
from turnout.records.model import Failure, Logged, OutputRecord
from turnout.runtime.files import parameter_file
from turnout.runtime.logged import StepLog
from turnout.runtime.redaction import Redactor, redacted_output
from turnout.runtime.session import Session
from turnout.runtime.sources import collected, element
from turnout.spec.expressions import evaluate
from turnout.spec.inputs import Collected, Element, InputSpec, Literal, Output, Param
from turnout.spec.types import ParamType
from turnout.spec.values import revive

NOT_THE_USERS = (str(Path(turnout.__file__).parent), str(Path(importlib.__file__).parent), "<frozen ")
"""Where frames lie that say nothing to who wrote the step: turnout's own, and the import system's."""


class Executed(NamedTuple):
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


def execute(session: Session, step: StepPlan, index: int | None, attempt: str) -> Executed:
    """Run a step that can run now.

    Raises:
        StepFailed: whatever went wrong, in the user's code or around it.
    """
    del attempt
    log = StepLog(session)
    try:
        if step.kind == "gate":
            assert step.expression is not None
            values = {name: _plain(session, given) for name, given in step.inputs.items()}
            return Executed({}, evaluate(step.expression, values), Logged())
        environ = {variable: session.components.secret(name) for variable, name in step.secrets.items()}
        redactor = Redactor(session.components.secrets_seen)
        with redacted_output(redactor), _surroundings(session, step, environ):
            function = session.code.load(step.entrypoint) if step.entrypoint else None
            assert function is not None
            arguments = {name: _argument(session, given, index) for name, given in step.inputs.items()}
            context.activate(log)
            try:
                result = function(**arguments)
            finally:
                context.activate(None)
            del arguments
            outputs = _save(session, step, result)
        return Executed(outputs, None, log.collected())
    except BaseException as error:
        redactor = Redactor(session.components.secrets_seen)
        raise StepFailed(error, describe(session, error, redactor), log.collected()) from error


def _plain(session: Session, given: InputSpec) -> Any:
    """The value of a gate's input as JSON: what a guard's expression is over."""
    match given.source:
        case Literal(value=value):
            return value
        case Param(name=name):
            return session.run.params[name]
        case Output(step=name, output=output):
            record = session.record(name, None)
            assert record is not None
            return session.artifacts.load_json(record.outputs[output])
    raise AssertionError(given.source)


def _argument(session: Session, given: InputSpec, index: int | None) -> Any:
    match given.source:
        case Literal(value=value, type=type_):
            return _value(session, value, type_, "literal")
        case Param(name=name):
            return _value(session, session.run.params[name], session.params[name].type, name)
        case Output(step=name, output=output):
            record = session.record(name, None)
            if record is None or record.state == "skipped":
                return None
            return session.artifacts.load_output(record.outputs[output], given.type)
        case Element(step=name, output=output):
            return session.artifacts.load_output(element(session, name, output, index), given.type)
        case Collected(step=name, output=output):
            found = collected(session, name, output)
            if found is None:
                return None
            return [session.artifacts.load_output(one, given.type) for one in found]


def _value(session: Session, value: Any, type_: ParamType, name: str) -> Any:
    if type_.kind in {"file", "folder"}:
        return None if value is None else parameter_file(session, name, value, type_)
    return revive(value, type_)


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
    return {
        output.name: session.artifacts.save(value, output) for output, value in zip(step.outputs, values, strict=True)
    }


@contextmanager
def _surroundings(session: Session, step: StepPlan, environ: dict[str, str]) -> Iterator[None]:
    """A fresh working directory with the declared files in it, and the secrets as variables, while the step runs."""
    home, before = Path.cwd(), {name: os.environ.get(name) for name in environ}
    folder = _empty_folder(session.work)
    try:
        for name in step.files:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(session.code.folder / name, target)
        os.environ.update(environ)
        os.chdir(folder)
        yield
    finally:
        os.chdir(home)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if any(folder.iterdir() if folder.is_dir() else ()):
            shutil.rmtree(folder, ignore_errors=True)


def _empty_folder(work: Path) -> Path:
    """A folder with nothing in it: the last step's, where that left it so."""
    folder = work / "step"
    try:
        folder.mkdir()
    except FileExistsError:
        if any(folder.iterdir()):
            return Path(tempfile.mkdtemp(prefix="step-", dir=work))
    return folder


def describe(session: Session, error: BaseException, redactor: Redactor) -> Failure:
    """The failure as it goes on record: the user's own frames, project-relative paths, secrets taken out."""
    from turnout.runtime.step import FINAL

    if isinstance(error, TurnoutError):
        message, text = str(error), ""
    else:
        message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        text = "".join(_traceback(error))
        if "code" in session.__dict__ and "folder" in session.code.__dict__:
            text = text.replace(f"{session.code.folder}{os.sep}", "")
    return Failure(
        type=f"{type(error).__module__}.{type(error).__qualname__}",
        message=redactor.text(message),
        traceback=redactor.text(text),
        retryable=not isinstance(error, FINAL),
    )


def _traceback(error: BaseException) -> list[str]:
    report = traceback.TracebackException.from_exception(error, capture_locals=False)
    pending: list[traceback.TracebackException] = [report]
    while pending:
        one = pending.pop()
        kept = [frame for frame in one.stack if not frame.filename.startswith(NOT_THE_USERS)]
        one.stack = traceback.StackSummary.from_list(kept)
        pending.extend(other for other in (one.__cause__, one.__context__) if other is not None)
    return list(report.format())
