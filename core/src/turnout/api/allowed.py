"""Where a run may be started, or an earlier one read: not in a step, and not while a module is imported for one.

A worker imports the modules of its steps, and so does whoever plans them: what a module does at its top, it does again
in each of these processes.
"""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal, NoReturn

from turnout.base import context
from turnout.base.errors import DefinitionError, Location
from turnout.definition import places
from turnout.project.project import load, root_of

if TYPE_CHECKING:
    from turnout.definition.pipeline import PipelineDefinition

Purpose = Literal["start", "read"]
_GUARD = 'put it under if __name__ == "__main__":'
_HAND_ON = "read it where the run is started, and hand the value on as a parameter: run(threshold=…)"
_called: dict[str, dict[int, tuple[int, str, Purpose]]] = {}
"""What modules of this process called at their tops, by file and line: when the file was changed, and the call."""
_PROBE = """\
import importlib, sys
sys.argv[1:] = ["serve"]
from turnout.base import context
from turnout.base.errors import DefinitionError
try:
    with context.importing():
        importlib.import_module(sys.stdin.read())
except DefinitionError:
    sys.exit(99)
"""
"""Imports a module as a worker does; exit code 99 where it does what it must not."""


def check(call: str, purpose: Purpose) -> None:
    """See that a run may be started, or read, where the caller is.

    Raises:
        DefinitionError: while a plan is made, in a worker, and in a step.
    """
    frames = _modules()
    imported = [frame for frame in frames if frame.f_globals.get("__name__") != "__main__"]
    tracing = sys.modules.get("turnout.definition.trace")
    if tracing is not None and tracing.current.get() is not None:
        calls = "call the pipeline itself: its steps become steps of this one"
        raise DefinitionError(
            f"{call} is called in a pipeline's function",
            where=places.here(),
            why="the function only says which steps there are",
            fix=calls if purpose == "start" else _HAND_ON,
        )
    if imported and (context.is_importing() or context.in_worker() or _is_child()):
        frame = imported[0]
        raise _at_import(call, purpose, places.locate(frame.f_code.co_filename, frame.f_lineno))
    if context.is_importing() or context.in_worker() or context.in_step():
        starts = "call the pipeline in the pipeline's function: its steps become part of this run"
        raise DefinitionError(
            f"{call} is called inside a step",
            where=places.here(),
            why="a run is planned before it starts"
            if purpose == "start"
            else "what a step reads without being given it is in no cache key",
            fix=starts if purpose == "start" else _HAND_ON,
        )
    for frame in frames:
        file = frame.f_code.co_filename
        _called.setdefault(file, {})[frame.f_lineno] = Path(file).stat().st_mtime_ns, call, purpose


def check_repeatable(definition: PipelineDefinition) -> None:
    """See that no module of the pipeline's steps starts or reads a run whenever it is imported.

    Where a script did so itself, this ends it, exit code 2: nobody is there to catch an error.

    Raises:
        DefinitionError: naming the line.
    """
    if not _called:
        return
    functions = definition.trace().functions.values()
    imported = {inspect.unwrap(function).__code__.co_filename for function in functions}
    main = getattr(sys.modules["__main__"], "__file__", None) or ""
    for file, calls in sorted(_called.items()):
        if file not in imported and os.path.realpath(file) == os.path.realpath(main):
            continue  # a script that no worker imports
        for line, (changed, call, purpose) in sorted(calls.items()):
            if not Path(file).is_file() or Path(file).stat().st_mtime_ns != changed:
                continue
            # of modules that import one another, a worker may import this one, too
            if _is_repeated(file, line) if file in imported else any(map(_is_repeated_in_a_worker, sorted(imported))):
                _refuse(_at_import(call, purpose, places.locate(file, line)), root_of(Path(file)))
            calls.pop(line)


def _at_import(call: str, purpose: Purpose, where: Location) -> DefinitionError:
    again = "start another run" if purpose == "start" else "read what there is then"
    return DefinitionError(
        f"{call} is called when its module is imported",
        where=where,
        why=f"every worker imports the module to run its steps, and would {again}",
        fix=_GUARD,
    )


def _refuse(error: DefinitionError, root: Path) -> NoReturn:
    for frame in _modules():
        if frame.f_globals.get("__name__") == "__main__" and root_of(Path(frame.f_code.co_filename)) == root:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2)
    raise error


def _modules() -> list[FrameType]:
    """The modules whose top is being run, the innermost first; only those in files of their own."""
    frames: list[FrameType] = []
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while frame is not None:
        file = frame.f_code.co_filename
        if frame.f_code.co_name == "<module>" and not places.is_own(file) and Path(file).is_file():
            frames.append(frame)
        frame = frame.f_back
    return frames


def _is_child() -> bool:
    """Whether this is a process of multiprocessing that is importing the script it was started by."""
    module = sys.modules.get("multiprocessing.process")
    return module is not None and bool(getattr(module.current_process(), "_inheriting", False))


def _is_repeated(file: str, line: int) -> bool:
    """Whether whatever is at this line of a module happens again when a worker imports it."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    kinds = (ast.If, ast.IfExp, ast.BoolOp, ast.Match)
    conditions = [
        node for node in ast.walk(tree) if isinstance(node, kinds) and node.lineno <= line <= (node.end_lineno or line)
    ]
    if not conditions:
        return True
    names = {
        node.id
        for condition in conditions
        for node in ast.walk(getattr(condition, "test", condition))
        if isinstance(node, ast.Name)
    }
    return "__name__" not in names and _is_repeated_in_a_worker(file)


def _is_repeated_in_a_worker(file: str) -> bool:
    """Whether importing a module as a worker does is refused: where that hangs on a condition, it is tried."""
    project = load(root_of(Path(file)))
    roots = [str(project.root / top) for top in project.import_roots]
    environ = {**os.environ, context.WORKER: "1", "PYTHONPATH": os.pathsep.join([*roots, *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", _PROBE],
        input=project.module_of(Path(file)) or "",
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 99
