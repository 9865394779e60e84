"""What a piece of Python does when it runs: tried in a process of its own, and watched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import msgspec

_SCRIPT = """
import json, os, sys, time
import click, msgspec, turnout.plugin_api, turnout.components.registry
for name in turnout.plugin_api.__all__:  # what they bring is turnout's, not the plugin's
    getattr(turnout.plugin_api, name)
code, argument = json.loads(sys.stdin.read())
before, acts, watching = set(sys.modules), [], True
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

def watch(event, arguments):
    if not watching:
        return
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo"):
        acts.append(f"it opens a connection ({event} {arguments[-1]!r})")
    elif event in ("subprocess.Popen", "os.system", "os.posix_spawn", "os.fork"):
        acts.append(f"it starts a process ({event})")
    elif event == "pickle.find_class":
        acts.append("it reads a pickle")
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
        # bytecode is kept by the import system, which opens a descriptor once more that it has opened by its path
        if not isinstance(arguments[0], int) and "__pycache__" not in str(arguments[0]):
            acts.append(f"it writes to {arguments[0]}")

sys.addaudithook(watch)
error, answer, started = "", None, time.perf_counter()
try:
    scope = {"argument": argument}
    exec(code, scope)
    answer = scope.get("answer")
except BaseException as raised:
    error = f"{type(raised).__name__}: {raised}"
seconds, watching = time.perf_counter() - started, False
names = {name.partition(".")[0] for name in set(sys.modules) - before}
imported = sorted(n for n in names if n not in sys.stdlib_module_names and not n.startswith("__"))
result = {"seconds": seconds, "imported": imported, "acts": acts, "error": error, "answer": answer}
sys.__stdout__.write("\\n" + json.dumps(result))
"""

_OURS = frozenset(
    {"turnout", "click", "cloudpickle", "msgspec", "packaging", "pathspec", "pluggy", "psutil", "rich", "tomli", "yaml"}
)


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """What happened: how many seconds it took, the foreign packages it imported, what it did to the world.

    ``acts`` are sentences; ``error`` is what it raised; ``answer`` what it put into the variable of that name.
    """

    seconds: float
    imported: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()
    error: str = ""
    answer: Any = None


def probe(code: str, argument: Any = None, *, own: Iterable[str] = (), environ: dict[str, str] | None = None) -> Probed:
    """Run *code* in a new process, with the plugin API imported before it is watched.

    Args:
        argument: JSON that the code finds in the variable ``argument``.
        own: packages that it may import besides the standard library, turnout and what turnout installs.
        environ: variables to set in the process.
    """
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        input=json.dumps([code, argument]),
        env={**os.environ, "PYTHONPATH": path, **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stdout.rpartition("\n")[2]
    if done.returncode or not last.startswith("{"):
        return Probed(seconds=0.0, error=done.stderr.strip().rpartition("\n")[2] or f"it exits with {done.returncode}")
    probed = msgspec.json.decode(last, type=Probed)
    foreign = tuple(name for name in probed.imported if name not in _OURS and name not in set(own))
    return msgspec.structs.replace(probed, imported=foreign)
