"""What a run left in its store, without what may differ between two runs: ids, times and hosts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

PROJECT = "engines"


class Evidence(NamedTuple):
    """A run as its records tell it.

    ``steps`` holds for ``step`` or ``step.index``: the state, a gate's value, the digests of inputs and outputs, the
    counts of list outputs, the cache key, why it was skipped. ``attempts`` are the states of a step's attempts in the
    order in which they ended, ``finish`` the last finish mark.
    """

    plan: str
    params: dict[str, Any]
    steps: dict[str, dict[str, Any]]
    attempts: dict[str, list[str]]
    finish: dict[str, Any]

    @property
    def states(self) -> dict[str, str]:
        """The state of each committed step."""
        return {name: step["state"] for name, step in self.steps.items()}


def gather(store: Path, run: str) -> Evidence:
    """Read a run's documents from a local store, as plain JSON: nothing of turnout is in between."""
    folder = store / PROJECT / "runs" / run
    steps: dict[str, dict[str, Any]] = {}
    attempts: dict[str, list[str]] = {}
    for step in sorted((folder / "steps").iterdir()):
        if (step / "record.json").exists():
            steps[step.name] = _step(_read(step / "record.json"))
        made = sorted(map(_read, (step / "attempts").glob("*.json")), key=lambda attempt: attempt["ended"])
        if made:
            attempts[step.name] = [attempt["state"] for attempt in made]
    marks = sorted((folder / "marks").iterdir(), key=lambda mark: int(mark.stem))
    mark = _read(marks[-1])
    assert mark.get("kind", "finish") == "finish", mark
    run = _read(folder / "run.json")
    return Evidence(run["plan"], run["params"], steps, attempts, {"state": mark["state"], "steps": mark["steps"]})


def without(evidence: Evidence, folder: Path) -> Evidence:
    """The evidence of a run with a *folder* of its own among its parameters, made comparable with another run's.

    The folder is rightly part of the cache key of a step that is given it, so such a key goes, too.
    """
    text = json.dumps(evidence).replace(str(folder), "{scratch}")
    cleaned = Evidence(*json.loads(text))
    for step in cleaned.steps.values():
        if "{scratch}" in json.dumps(step):
            del step["cache_key"]
    return cleaned


def run_of(store: Path, engine_run: str) -> str:
    """The id of the run that an engine calls *engine_run*."""
    for info in store.glob(f"{PROJECT}/runs/*/run.json"):
        if _read(info)["engine_run"] == engine_run:
            return info.parent.name
    raise LookupError(f"{store} has no run of {engine_run}")


def _step(record: dict[str, Any]) -> dict[str, Any]:
    kept = {key: record[key] for key in ("state", "value", "reason", "inputs", "cache_key") if key in record}
    outputs = {}
    for name, output in record.get("outputs", {}).items():
        elements = output.get("elements")
        outputs[name] = output["artifact"]["digest"] if elements is None else [one["digest"] for one in elements]
    return {**kept, "outputs": outputs}


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
