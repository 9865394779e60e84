"""``python -m turnout.runtime``: what an engine calls."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]  # the folder it happens to be called in, whose files could stand for any module

from turnout.base import python_gc as garbage

if __name__ == "__main__":
    garbage.later()

import io
import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from turnout.base import canonical
from turnout.base.context import WORKER
from turnout.base.errors import TurnoutError
from turnout.model.records import StepResult
from turnout.runtime import forking, sealed
from turnout.runtime.parameters import VARIABLE, parse_submission
from turnout.runtime.printing import is_a_workers, unredacted_output

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from turnout.model.plan import StepPlan
    from turnout.runtime.session import Session


def main(arguments: list[str] | None = None) -> int:
    """Run one call and return its exit code: 0 committed, 99 skipped, 1 retryable, 2 final.

    Of ``finish``: 0 where the run has succeeded, 2 where it has not, 1 where its end could not be marked.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["serve"] and all(word.isdigit() for word in words[1:]):
        from turnout.runtime.server import serve

        return serve(int(words[1]), int(words[2]))
    if words[:1] == ["apart"]:
        from turnout.runtime.server import run_apart

        return run_apart(*map(int, words[1:]))
    if words[:1] == ["serve"]:
        os.execv(sys.executable, [sys.executable, "-m", "turnout.engines.serve", *words[1:]])  # noqa: S606
    if words[:1] == ["send"]:
        from turnout.runtime.joining import tracked
        from turnout.tracking.sender import main as send

        garbage.now()
        send(words[1:], tracked)
    if words[:1] == ["replay"]:
        from turnout.runtime.replay import main as replay

        garbage.now()
        return replay(words[1:])
    options = _parser().parse_args(words)
    printed = os.dup(1)
    result = _call(options, words)
    return result.exit_code if _tell(result, options.outcome, printed) else 1


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(prog="python -m turnout.runtime", description="What an engine calls.")
    commands = parser.add_subparsers(dest="command", required=True)
    step = commands.add_parser("step", help="run one step of a run, or one element of a mapped step")
    lost = commands.add_parser("lost", help="put on record that a call of a step died before it could say how it ended")
    finish = commands.add_parser("finish", help="mark the end of a run")
    for command in (step, lost, finish):
        command.add_argument("--plan", required=True, help="the digest of the plan")
        command.add_argument("--engine-run", required=True, help="the engine's own id of the run")
        command.add_argument("--outcome", type=Path, help="also write the outcome to this file")
        command.add_argument(
            "--bundle", type=Path, help="a folder that holds plan and code, and says where the store is"
        )
    for command in (step, lost):
        command.add_argument("--step", required=True, help="the step's name")
        command.add_argument("--index", type=int, help="the element of a mapped step, from 0")
        command.add_argument(
            "--record", type=Path, help="also write the record that stands, and the store's address, to this file"
        )
    for name, text in (("started", "when it began"), ("kind", "what ended it"), ("message", "how it ended")):
        lost.add_argument(f"--{name}", required=True, help=text)
    finish.add_argument("--cancelled", action="store_true", help="the run was stopped on purpose")
    return parser


def _call(options: argparse.Namespace, words: list[str]) -> StepResult:
    try:
        return _run(options, words)
    except Exception as error:
        return _failed(error)


def _failed(error: Exception, redact: Callable[[str], str] = str) -> StepResult:
    """What the engine is told, in its own words, of whatever it was."""
    from turnout.runtime.failures import FINAL

    if isinstance(error, TurnoutError):
        message = redact(str(error))
        print(f"turnout: {message}", file=sys.stderr)
        return StepResult(state="failed", retryable=not isinstance(error, FINAL), message=message)
    print(redact("".join(traceback.format_exception(error))), file=sys.stderr)
    return StepResult(state="failed", retryable=True, message=redact(f"{type(error).__name__}: {error}"))


def _run(options: argparse.Namespace, words: list[str]) -> StepResult:
    from turnout.runtime.joining import join
    from turnout.runtime.store import worker_store

    if options.bundle:
        from turnout.runtime import bundle

        bundle.enter(options.bundle)
    store = worker_store()
    if options.bundle:
        bundle.upload(options.bundle, options.plan, store)
    session = join(store, options.plan, options.engine_run, parse_submission(os.environ.get(VARIABLE)))
    try:
        if options.command == "finish":
            return _finish(session, options)
        return _lost(session, options) if options.command == "lost" else _step(session, options, words)
    except Exception as error:
        return _failed(error, session.components.redactor.text)
    finally:
        session.close()


def _finish(session: Session, options: argparse.Namespace) -> StepResult:
    from turnout.runtime.finish import finish_run

    mark = finish_run(session, cancelled=options.cancelled)
    message = f"the run {session.run.info.id} {'was ' if mark.state == 'cancelled' else ''}{mark.state}"
    if mark.state == "succeeded":
        return StepResult(state="succeeded", message=message)
    print(f"turnout: {message}; not committed: {', '.join(mark.open or ())}", file=sys.stderr)
    return StepResult(state="failed", message=message)


def _step(session: Session, options: argparse.Namespace, words: list[str]) -> StepResult:
    from turnout.runtime.step import run_step

    step = session.run.plan.by_name.get(options.step)
    if step is not None and session.run.record(options.step, options.index) is None:
        _prepare(session, step, words)
    garbage.now()
    result = run_step(session, options.step, options.index)
    if result.state == "failed" or result.adopted:
        print(f"turnout: {result.message}", file=sys.stderr)
    return _recorded(session, options, result)


def _lost(session: Session, options: argparse.Namespace) -> StepResult:
    from turnout.model.records import Failure
    from turnout.runtime.attempt import give_up

    failure = Failure(type=options.kind, message=options.message)
    step = session.run.plan.by_name[options.step]
    return _recorded(session, options, give_up(session, step, options.index, options.started, failure))


def _recorded(session: Session, options: argparse.Namespace, result: StepResult) -> StepResult:
    """The result, once the record that stands is in the file asked for."""
    if result.state != "failed" and options.record:
        record = session.run.record(options.step, options.index) or session.run.record(options.step, None)
        options.record.write_bytes(canonical.encode({"store": session.run.store.address, "record": record}))
    return result


def _prepare(session: Session, step: StepPlan, words: list[str]) -> None:
    """Go on as a sealed process of the interpreter that has the step's pins; return where this is it."""
    threads = sealed.threads_for(step.resources.cores)
    environment = canonical.digest_of(session.run.plan.environments.get(step.environment))
    if sealed.is_sealed(threads) and sealed.is_prepared(environment):
        return
    from turnout.runtime.interpreter import interpreter_for

    interpreter = interpreter_for(session, step)
    if not sealed.is_sealed(threads) or interpreter != sys.executable:
        session.close()
        sealed.reexecute(words, threads, interpreter, environment)


def _tell(result: StepResult, outcome: Path | None, printed: int) -> bool:
    """Print the outcome as a line of its own, and write it to the file asked for; return whether that could be done.

    Args:
        printed: where it is printed, whatever the step made of the standard streams.
    """
    line = canonical.encode(result) + b"\n"
    try:
        with unredacted_output() as output:
            output.write(b"\n" + line)
    except (ValueError, AttributeError):  # closed by the step, or replaced
        forking.write(printed, b"\n" + line)
    if outcome is None:
        return True
    partial = outcome.with_name(f"{outcome.name}.{os.getpid()}.part")
    try:
        outcome.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(line)
        partial.replace(outcome)
    except OSError as error:
        print(f"turnout: the outcome cannot be written to {outcome}: {error.strerror or error}", file=sys.stderr)
        return False
    return True


def _line_by_line() -> None:
    """Let what a step prints be in its log at once, before what its children print, and also where the process dies.

    Python itself keeps up to 8 KiB of what is printed to a file or a pipe.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


if __name__ == "__main__":
    os.environ[WORKER] = "1"
    _line_by_line()
    if "--pdb" not in sys.argv:  # who debugs has a terminal, with prompts that are no whole lines
        is_a_workers()
    code = main()
    garbage.never()
    os.dup2(2, 1)  # what is printed on the way out must not come after the outcome
    sys.exit(code)
