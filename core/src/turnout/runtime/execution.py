"""Calling the user's function: its inputs read, its surroundings set, its outputs saved."""

from __future__ import annotations

import functools
import importlib
import os
import shutil
import tempfile
import traceback
import typing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import msgspec

import turnout
from turnout.base import context
from turnout.base.errors import (
    ArtifactError,
    ConfigError,
    DefinitionError,
    PlanError,
    PluginError,
    RunError,
    TurnoutError,
    UnsupportedError,
)
from turnout.base.redaction import Redactor, refusal
from turnout.model.bounds import check_python
from turnout.model.expressions import evaluate
from turnout.model.inputs import Collected, Element, InputSpec, Literal, Output, Param
from turnout.model.plan import StepPlan
from turnout.model.records import Failure, Logged, OutputRecord
from turnout.model.scalars import Misfit
from turnout.model.types import ParamType
from turnout.model.values import readable, revive, shorten
from turnout.runtime import forking, log_records, profiles
from turnout.runtime.advice import advice
from turnout.runtime.files import parameter_file
from turnout.runtime.forbidden import artifacts_of
from turnout.runtime.inputs import collected, element
from turnout.runtime.printing import redacted_output
from turnout.runtime.session import Session
from turnout.tracking.logged import StepLog

FINAL = (ConfigError, DefinitionError, PlanError, PluginError, UnsupportedError)
"""Errors that no second try can mend."""

TEXT = 1 << 14
"""The characters of an error's text, and of its traceback, that go on record at most."""
NOT_THE_USERS = (str(Path(turnout.__file__).parent), str(Path(importlib.__file__).parent), "<frozen ")
"""Where frames lie that say nothing to who wrote the step: turnout's own, and the import system's."""


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
    log = StepLog(session.artifacts, redactor, lambda: session.components.feature_store, sender)
    try:
        if step.kind == "gate":
            assert step.expression is not None
            values = {name: _plain(session, given) for name, given in step.inputs.items()}
            return Executed({}, evaluate(step.expression, values), Logged())
        environ = {variable: session.components.secret(name) for variable, name in step.secrets.items()}
        with _output(session), _surroundings(session, step, environ), forking.only_here():
            assert step.entrypoint is not None
            function = session.code.load(step.entrypoint)
            arguments = {name: _argument(session, step, index, Wanted(function, name)) for name in step.inputs}
            if not session.in_process:
                log_records.show()
            context.activate(log)
            try:
                with session.tracking.around() if tracked else nullcontext():
                    result = function(**arguments)
            finally:
                context.activate(None)
            del arguments
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


def _plain(session: Session, given: InputSpec) -> Any:
    """The value of a gate's input as JSON: what a guard's expression is over."""
    match given.source:
        case Literal(value=value, type=type_):
            return readable(value, type_)
        case Param(name=name):
            return readable(session.run.info.params[name], session.run.params[name].type)
        case Output(step=name, output=output):
            record = session.run.record(name, None)
            assert record is not None
            return session.artifacts.load_json(record.outputs[output])
    raise AssertionError(given.source)


class Wanted(msgspec.Struct, frozen=True):
    """Who asks for a value: a function, and which of its arguments."""

    function: Callable[..., Any]
    argument: str

    def enum(self, session: Session, name: str) -> type[Any]:
        """The class ``module:qualname``: the one that the argument is declared with, else as it is imported."""
        qualname = name.partition(":")[2]
        try:
            declared = typing.get_type_hints(self.function).get(self.argument)
        except Exception:  # a name that exists for type checkers only
            declared = None
        found = next((cls for cls in _classes_in(declared) if cls.__qualname__ == qualname), None)
        return session.code.load_class(name) if found is None else found


def _classes_in(annotation: Any) -> Iterator[type[Any]]:
    """The classes that an annotation names, at any depth."""
    if isinstance(annotation, typing.NewType):
        annotation = annotation.__supertype__
    if type(annotation).__name__ == "TypeAliasType":
        annotation = annotation.__value__
    if typing.is_typeddict(annotation):
        for inner in typing.get_type_hints(annotation).values():
            yield from _classes_in(inner)
    elif isinstance(annotation, type) and not typing.get_args(annotation):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _classes_in(inner)


def _argument(session: Session, step: StepPlan, index: int | None, wanted: Wanted) -> Any:
    given = step.inputs[wanted.argument]
    value = _given(session, given, index, wanted)
    if given.check is not None:
        _check(value, given.check, f"the input {wanted.argument!r} of {step.name}")
    return value


def _check(value: Any, type_: ParamType, what: str) -> None:
    try:
        check_python(value, type_)
    except Misfit as misfit:
        raise ConfigError(
            f"{what} is {shorten(value)}, which its annotation refuses",
            why=f"{misfit.path}: {misfit.why}".removeprefix(": "),
            fix="give it such a value, or change the annotation",
        ) from None


def _given(session: Session, given: InputSpec, index: int | None, wanted: Wanted) -> Any:
    match given.source:
        case Literal(value=value, type=type_):
            return _value(session, given, value, type_, wanted)
        case Param(name=name):
            return _value(session, given, session.run.info.params[name], session.run.params[name].type, wanted)
        case Output(step=name, output=output):
            record = session.run.record(name, None)
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


def _value(session: Session, given: InputSpec, value: Any, type_: ParamType, wanted: Wanted) -> Any:
    if type_.kind in {"file", "folder"}:
        name = given.source.name if isinstance(given.source, Param) else wanted.argument
        return None if value is None else parameter_file(session, name, value, type_)
    if "enum:Enum" in given.type.bases and not (
        type_.enum or given.type.collection
    ):  # a text given for an enum, and plans of before
        type_ = msgspec.structs.replace(type_, enum=given.type.name)
    return revive(value, type_, functools.partial(wanted.enum, session))


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
            _check(value, output.check, f"the output {output.name!r} of {step.name}")
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


def describe(session: Session, step: StepPlan, error: BaseException) -> Failure:
    """The failure as it goes on record: the user's own frames, project-relative paths, secrets taken out."""
    raised = error.__cause__ if isinstance(error, TurnoutError) else error
    text = "" if raised is None or isinstance(raised, TurnoutError) else "".join(_traceback(raised))
    hint = "" if raised is None else advice(session, raised)
    for folder in (
        {session.code.imported_from, session.code.imported_from.resolve()} if session.code.imported_from else ()
    ):
        text = text.replace(f"{folder}{os.sep}", "")
    redactor = session.components.redactor
    return Failure(
        type=redactor.text(f"{type(error).__module__}.{type(error).__qualname__}"),
        message=_bounded(redactor.text(_message(error) + ("" if isinstance(raised, ImportError) else hint))),
        traceback=_bounded(redactor.text(text + hint)),
        retryable=not (isinstance(error, FINAL) or (step.kind == "gate" and isinstance(error, RunError))),
    )


def _bounded(text: str) -> str:
    """The start and the end of a text that is too long for a record; without secrets before it is cut."""
    if len(text) <= TEXT:
        return text
    half = TEXT // 2
    return f"{text[:half]}\n[{len(text) - TEXT} characters are left out]\n{text[-half:]}"


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = ", ".join(map(_shown, error.args)) or "(its text cannot be made)"
    if isinstance(error, TurnoutError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _shown(value: Any) -> str:
    """An argument of an exception whose text cannot be made: of an int of too many digits all of them, in hex."""
    try:
        return str(value)
    except Exception:
        return hex(value) if isinstance(value, int) else f"(a {type(value).__name__} whose text cannot be made)"


def _traceback(error: BaseException) -> list[str]:
    report = traceback.TracebackException.from_exception(error, capture_locals=False)
    pending: list[traceback.TracebackException] = [report]
    while pending:
        one = pending.pop()
        kept = [frame for frame in one.stack if not frame.filename.startswith(NOT_THE_USERS)]
        one.stack = traceback.StackSummary.from_list(kept)
        pending.extend(other for other in (one.__cause__, one.__context__) if other is not None)
        pending.extend(getattr(one, "exceptions", None) or ())
    return list(report.format())
