"""Other processes for the suites: a component made anew by its class and config, as a worker makes it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from turnout.components.base import Component

_SCRIPT = """
import pickle, sys, time
from importlib import import_module
from pathlib import Path
folder = Path(sys.argv[1])
named, config, function, arguments = pickle.loads((folder / "call").read_bytes())

def found(name):
    module, _, path = name.partition(":")
    value = import_module(module)
    for part in path.split("."):
        value = getattr(value, part)
    return value

first = found(named)
if config is not None:
    import msgspec
    first = first(msgspec.convert(config, first.Config))
else:
    first = first()
(folder / "ready").touch()
while not (folder.parent / "go").exists():
    time.sleep(0.002)
(folder / "answer").write_bytes(pickle.dumps(found(function)(first, *arguments)))
"""


def together(
    component: Any, *calls: tuple[Callable[..., Any], tuple[Any, ...]], hash_seeds: tuple[str, ...] = ()
) -> list[Any]:
    """Call functions at the same moment, each in a process of its own, with the component as the first argument.

    Args:
        component: the component, or a materializer; each process makes another by its class and config.
        calls: functions at the top of a module, and what they are given besides; all of it is pickled.
        hash_seeds: the hash seed of each process in turn; random ones where left out.

    Raises:
        AssertionError: when a process fails; its error is on standard error.
    """
    config = msgspec.to_builtins(component.config) if isinstance(component, Component) else None
    with tempfile.TemporaryDirectory() as name:
        root, processes = Path(name), []
        try:
            for number, (function, arguments) in enumerate(calls):
                folder = root / str(number)
                folder.mkdir()
                call = (_path(type(component)), config, _path(function), arguments)
                (folder / "call").write_bytes(pickle.dumps(call))
                seed = hash_seeds[number] if hash_seeds else "random"
                processes.append(_started(folder, seed))
            _await_all(root, processes)
            (root / "go").touch()
            codes = [process.wait(timeout=120) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
        assert not any(codes), "a process failed; its error is above"
        return [pickle.loads((root / str(n) / "answer").read_bytes()) for n in range(len(calls))]  # noqa: S301 -- ours


def _started(folder: Path, seed: str) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environ = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed, "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen([sys.executable, "-c", _SCRIPT, str(folder)], env=environ)


def _await_all(root: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    for number, process in enumerate(processes):
        while not (root / str(number) / "ready").exists():
            assert process.poll() is None, "a process could not make the component; its error is above"
            time.sleep(0.002)


def _path(thing: Any) -> str:
    return f"{thing.__module__}:{thing.__qualname__}"
