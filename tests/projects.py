"""Projects that tests write, and the command line as it is called in them."""

from __future__ import annotations

import importlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Literal, NamedTuple

import click
import pytest
from click.testing import CliRunner, Result

import turnout as package
from turnout.cli import main
from turnout.project.project import load

TURNOUT = (sys.executable, "-c", "from turnout.cli import main; main()")
"""The command, by the interpreter of the tests."""
OURS = str(Path(package.__file__).parent)
IN_PROCESS = "extends: local\norchestrator: {type: local, in_process: true}\n"
"""The local stack, its steps run in the process that runs the pipeline."""
HERE = "[tool.turnout]\nstack = 'here'\n"
"""What makes the stack ``here`` a project's own."""

DOUBLING = """\
from turnout import endpoint, pipeline, step


@step
def fit(factor: float) -> float:
    return factor


@step
def scaled(x: float, factor: float) -> float:
    return x * factor


@pipeline
def train(factor: float = 2.0):
    fit(factor)


@endpoint(train)
def double(x: float):
    return scaled(x, train["fit"])
"""
"""A pipeline of one step, and an endpoint of another that uses what it made."""


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Write files by their paths within *root*; return it."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def write_project(
    root: Path,
    files: Mapping[str, str],
    *,
    name: str = "demo",
    dependencies: Sequence[str] | None = None,
    more: str = "",
) -> Path:
    """Write a project of that name: its ``pyproject.toml``, which ends with *more*, and its files; return its folder."""
    needs = "" if dependencies is None else f"dependencies = {list(dependencies)}\n"
    return write(root, {"pyproject.toml": f"[project]\nname = '{name}'\nversion = '1'\n{needs}{more}", **files})


def git(root: Path, *words: str) -> None:
    """Call git in a repository, as somebody."""
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", "-C", str(root), *identity, *words], check=True, capture_output=True)


@contextmanager
def entered(root: Path) -> Iterator[Path]:
    """Work in a project in this process: with a cache beside it, and its modules forgotten in the end."""
    for path in root.glob("*.py"):
        sys.modules.pop(path.stem, None)  # another project's, of the same name
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(sys, "path", [str(root), *sys.path])
        patch.setenv("TURNOUT_CACHE", str(root.parent / "cache"))
        patch.delenv("TURNOUT_STACK", raising=False)
        load.cache_clear()
        yield root
        forget_modules(root)


def forget_modules(root: Path) -> None:
    """Let the modules of a project be imported anew, as in another process."""
    load.cache_clear()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(f"{root}{os.sep}"):
            del sys.modules[name]


def project_fixture(
    files: Mapping[str, str],
    *,
    scope: Literal["function", "module"] = "function",
    name: str = "demo",
    prepare: Callable[[Path], object] | None = None,
    run: Sequence[str] = (),
    module: str = "",
    environ: Mapping[str, str] = MappingProxyType({}),
    **settings: Any,
) -> Any:
    """A fixture: the folder of a project of these files, entered while a test, or all tests of a file, are run.

    Args:
        prepare: writes what else the project has.
        run: a command that is called in it first.
        module: the module of the project that the fixture gives, in place of the folder.
        environ: variables that are set meanwhile.
        settings: what else :func:`write_project` is told.
    """

    @pytest.fixture(scope=scope)
    def project(request: pytest.FixtureRequest) -> Iterator[Path | ModuleType]:
        if scope == "function":
            folder = request.getfixturevalue("tmp_path")
        else:
            folder = request.getfixturevalue("tmp_path_factory").mktemp(name)
        root = write_project(folder / name, files, name=name, **settings)
        if prepare is not None:
            prepare(root)
        with pytest.MonkeyPatch.context() as patch, entered(root):
            for variable, value in environ.items():
                patch.setenv(variable, value)
            if run:
                call_here(*run)
            yield importlib.import_module(module) if module else root

    return project


def call_here(*words: str, code: int = 0) -> None:
    """Run the command in this process; it must exit with *code*."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["turnout", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    assert (ended.value.code or 0) == code


class Answer(NamedTuple):
    """What a command came to: its exit code, and what it printed."""

    code: int
    out: str
    err: str


def answer_here(*words: str, **environ: str) -> Answer:
    """Run the command in this process, where a project is entered: a tenth of what an interpreter of its own takes.

    The project's modules are imported anew, for they may have been edited.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    forget_modules(Path.cwd())
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in environ.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["turnout", *words])
        patch.setattr(sys, "path", list(sys.path))
        with pytest.raises(SystemExit) as ended:
            main()
    printed, said = (stream.buffer.getvalue().decode() for stream in (out, err))
    assert "Traceback" not in said or OURS not in said, said
    return Answer(int(ended.value.code or 0), printed, said)


def caller(command: click.Command) -> Callable[..., Result]:
    """How a command of a plugin's is run, without the others: by words, or what is one as text."""
    return lambda *words: CliRunner().invoke(command, [str(word) for word in words])


def call(folder: Path | str, *words: str, code: int | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, in *folder*; where a *code* is given, it must exit with it."""
    done = subprocess.run(
        [*TURNOUT, *words],
        cwd=folder,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Traceback" not in done.stderr or OURS not in done.stderr, done.stderr
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done
