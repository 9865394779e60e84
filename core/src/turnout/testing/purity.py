"""Compiling in a process of its own, and seeing that nothing else happens: ``python -m turnout.testing.purity``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from turnout.base import canonical
from turnout.components.orchestrator import Bundle, Orchestrator
from turnout.model.plan import Plan, decode

_EFFECTS = (
    "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.system", "os.exec", "os.fork",
    "os.posix_spawn", "os.putenv", "subprocess.Popen", "shutil.copyfile", "shutil.rmtree", "socket.connect",
    "socket.getaddrinfo", "sqlite3.connect", "tempfile.mkstemp", "tempfile.mkdtemp",
)  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Compiled(msgspec.Struct, frozen=True):
    """What a process made of some plans: a digest for each bundle, and what it did beside compiling."""

    digests: tuple[str, ...]
    effects: tuple[str, ...]


def digest(bundle: Bundle) -> str:
    """The digest of all that is in a bundle."""
    files = {name: canonical.digest(data) for name, data in bundle.files.items()}
    return canonical.digest_of([files, bundle.entrypoint, list(bundle.notes)])


def compile_elsewhere(
    orchestrator: Orchestrator[Any], plans: Sequence[Plan], folder: Path, seed: int, **environ: str
) -> Compiled:
    """Compile plans in a new process with a hash seed, a working directory and variables of its own.

    Raises:
        AssertionError: when the process fails; its error is shown.
    """
    cls = type(orchestrator)
    document = {
        "module": cls.__module__,
        "qualname": cls.__qualname__,
        "config": msgspec.to_builtins(orchestrator.config),
        "plans": [plan.encode().decode() for plan in plans],
    }
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-B", "-m", "turnout.testing.purity"],
        input=json.dumps(document),
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),  # where the tests' own modules lie, too
            "PYTHONHASHSEED": str(seed),
            "PYTHONUTF8": "1",
            **environ,
        },
        cwd=folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, f"compiling in a process of its own failed:\n{done.stderr}"
    assert not list(folder.iterdir()), f"compiling wrote {[path.name for path in folder.iterdir()]}"
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Compiled)


def main() -> None:
    """Compile what standard input describes, twice; watch the second time, when all that is needed is imported."""
    document = json.load(sys.stdin)
    cls: Any = import_module(document["module"])
    for part in document["qualname"].split("."):
        cls = getattr(cls, part)
    orchestrator: Orchestrator[Any] = cls(msgspec.convert(document["config"], cls.Config))
    plans = [decode(text.encode()) for text in document["plans"]]
    first = [digest(orchestrator.compile(plan)) for plan in plans]
    effects: list[str] = []
    before = dict(os.environ)
    sys.addaudithook(lambda event, given: effects.extend(_effect(event, given)))
    second = [digest(orchestrator.compile(plan)) for plan in plans]
    found = tuple(dict.fromkeys(effects))
    if before != dict(os.environ):
        found = (*found, "os.environ was changed")
    if first != second:
        found = (*found, "the second time, the same plan gave other bytes")
    print(msgspec.json.encode(Compiled(tuple(first), found)).decode())


def _effect(event: str, given: tuple[Any, ...]) -> list[str]:
    if event == "open":
        path, _, flags = given
        return [f"open {path!r} for writing"] if isinstance(flags, int) and flags & _WRITES else []
    return [f"{event} {given!r}"] if event in _EFFECTS else []


if __name__ == "__main__":
    main()
