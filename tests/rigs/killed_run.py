"""A small run on the local stack that can be killed at each of its changes to the store, and resumed.

It has what a run can have: a file given, a list, a map, several outputs, metrics, a guard, a skipped step, values that
live in records and values that do not, results in the cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from rigs.kills import Kill, Who, installed_in

SOURCE = '''
import os
from pathlib import Path
from typing import Annotated
from turnout import File, log_artifact, log_metric, pipeline, step, when

def tell(label):
    """Leave a trace that no record has."""
    with open(os.environ["TOLD"], "a") as file:
        file.write(f"{label}\\n")

@step
def read(path: File) -> list[str]:
    tell("read")
    return [2000 * word for word in Path(path).read_text().split()]

@step
def measure(text: str) -> tuple[Annotated[int, "size"], Annotated[str, "twice"]]:
    tell(f"measure.{['one', 'two'].index(text[:3])}")
    log_metric("size", len(text))
    return len(text), 2 * text

@step
def total(sizes: list[int], texts: list[str]) -> int:
    tell("total")
    log_artifact("texts", "".join(texts))
    return sum(sizes)

@step
def never(size: int) -> int:
    tell("never")
    return size

@pipeline
def flow(path: File = "words.txt"):
    measured = measure.map(read(path))
    size = total(measured.size, measured.twice)
    with when(size > 10**9):
        never(size)
'''


class KilledRun:
    """The run, in a project of its own, with one worker: its changes come in the same order each time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / ".turnout" / "store"
        folder.mkdir(parents=True)
        (folder / "pyproject.toml").write_text("[project]\nname = 'demo'\nversion = '1'\n")
        (folder / "stack.yaml").write_text("extends: local\norchestrator: {type: local, workers: 1}\n")
        (folder / "flow.py").write_text(SOURCE)
        (folder / "words.txt").write_text("one two")

    def run(self, who: Who = "worker", at: int | None = None) -> Kill:
        """Run it, and kill *who* before change number *at*."""
        kill = Kill(folder=str(self.store), log=str(self.folder / f"{who}.changes"), who=who, at=at)
        self._call("run", "flow.py", **kill.environment(installed_in(self.folder / "site")))
        return kill

    def go_on(self) -> dict[str, Any]:
        """Resume it, or where it never came to be run it; the states, digests, decisions and metrics it came to.

        Raises:
            AssertionError: when it does not succeed.
        """
        begun = any(self.store.glob("demo/runs/*/run.json"))
        arguments = ("runs", "resume", "latest") if begun else ("run", "flow.py")
        return self._outcome(*arguments)

    def outcome(self) -> dict[str, Any]:
        """What the run came to, likewise."""
        return self._outcome("runs", "show", "latest")

    def _outcome(self, *arguments: str) -> dict[str, Any]:
        done = self._call(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        kept = ("state", "outputs", "value", "metrics", "reason")
        steps = {f"{one['step']}.{one['index']}": {key: one[key] for key in kept} for one in document["steps"]}
        return {"state": document["state"], "metrics": document["metrics"], "steps": steps}

    def committed(self) -> set[str]:
        """The labels of the steps that have a record."""
        return {path.parent.name for path in self.store.glob("demo/runs/*/steps/*/record.json")}

    def told(self) -> Counter[str]:
        """How often each step has run."""
        path = self.folder / "told"
        return Counter(path.read_text().split() if path.exists() else ())

    def _call(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        given = {"TOLD": str(self.folder / "told"), "TURNOUT_CACHE": str(self.folder / "cache")}
        return subprocess.run(
            [sys.executable, "-c", "from turnout.cli import main; main()", *arguments],
            cwd=self.folder,
            env={**os.environ, **given, "TURNOUT_STACK": str(self.folder / "stack.yaml"), **environ},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def check(run: KilledRun, undisturbed: dict[str, Any], who: Who, at: int) -> bool:
    """Kill a new run at one change, and assert that going on gives what an undisturbed run gives, and twice nothing.

    Returns:
        Whether it came that far.
    """
    killed = run.run(who, at).killed
    committed, before = run.committed(), run.told()
    assert run.go_on() == undisturbed, f"after {who} was killed at {at}"
    after = run.told()
    again = {label for label in committed if after[label] != before[label]}
    assert not again, f"{again} ran again, though committed when {who} was killed at {at}"
    assert all(count <= 2 for count in after.values()), after
    return killed
