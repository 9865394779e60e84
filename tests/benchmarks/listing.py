"""What it costs to list runs and artifacts, with few step records in the store and with 100,000."""

from __future__ import annotations

import json
from pathlib import Path

from measure import REPEATS, Result, medians, project, turnout

from turnout.model import records
from turnout.model.records import Artifact, Mark, OutputRecord, Record, RunInfo
from turnout.stores import layout
from turnout.stores.local import LocalStore

FEW, MANY, STEPS = 100, 100_000, 100
TARGET, SHARE = 1.5, 0.1


def measure() -> list[Result]:
    """The processor time of ``turnout runs list`` with many records against few, and against reading them all."""
    few, many = _store(FEW), _store(MANY)
    reading = turnout("index", "rebuild", "--json", folder=many, TURNOUT_CACHE=str(many / "cache"))
    known = json.loads(reading.output)["steps"]
    if known != MANY:
        raise SystemExit(f"the index has {known} records of {MANY}")
    turnout("index", "rebuild", folder=few, TURNOUT_CACHE=str(few / "cache"))

    def listing(folder: Path, *arguments: str) -> float:
        return turnout(*arguments, folder=folder, TURNOUT_CACHE=str(folder / "cache")).cpu

    found = medians(
        {
            "few": lambda: listing(few, "runs", "list"),
            "many": lambda: listing(many, "runs", "list"),
            "artifacts": lambda: listing(many, "artifacts", "list"),
            "10,000": lambda: listing(many, "artifacts", "list", "-n", "10000", "--json"),
        },
        max(REPEATS, 5),
    )
    few_runs, all_runs = FEW // STEPS, MANY // STEPS
    return [
        Result(
            f"`turnout runs list` with {MANY:,} step records in the store",
            f"{found['many'] / found['few']:.2f} times that with {FEW}",
            f"≤ {TARGET:g} times",
            found["many"] / found["few"] <= TARGET,
            f"{1000 * found['many']:.0f} ms of processor time with {all_runs:,} runs against "
            f"{1000 * found['few']:.0f} ms with {few_runs}; `turnout artifacts list` {1000 * found['artifacts']:.0f} ms",
        ),
        Result(
            "10,000 step records listed from the index",
            f"{found['10,000'] / reading.cpu:.3f} times reading {MANY:,} from the store",
            f"≤ {SHARE:g} times",
            found["10,000"] / reading.cpu <= SHARE,
            f"{1000 * found['10,000']:.0f} ms of processor time, as JSON, all told; `turnout index rebuild` takes "
            f"{reading.cpu:.1f} s for {MANY:,}",
        ),
    ]


def _store(count: int) -> Path:
    """A project whose store has so many step records, in runs of a hundred."""
    folder = project("")
    (folder / "stack.yaml").write_text("extends: local\nartifact_store: {root: store}\n")
    (folder / "pyproject.toml").write_text(
        "[project]\nname = 'benchmark'\nversion = '1'\n[tool.turnout]\nstack = 'stack.yaml'\n"
    )
    store = LocalStore.from_url(str(folder / "store"))
    for number in range(count // STEPS):
        run = f"{number:020}".translate(str.maketrans("0123456789", "abcdefghij"))
        second = f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}"
        info = RunInfo(
            id=run, project="benchmark", pipeline="flow", plan="0" * 64, params={"depth": number},
            created=f"{second}.000000Z", stack="local", orchestrator="local", instance="default", engine_run=run,
        )  # fmt: skip
        store.create(layout.run("benchmark", run), records.encode(info))
        for step in range(STEPS):
            digest = f"{number:032x}{step:032x}"
            artifact = Artifact(digest=digest, materializer="table", type="pandas:DataFrame", size=1000)
            record = Record(
                run=run, step=f"step{step}", state="succeeded", attempt="a", plan="0" * 64,
                outputs={"output": OutputRecord(artifact=artifact)},
                started=f"{second}.100000Z", ended=f"{second}.200000Z",
            )  # fmt: skip
            store.create(layout.record("benchmark", run, f"step{step}", None), records.encode(record))
        mark = Mark(time="2026-01-02T00:00:00.000000Z", state="succeeded", open={})
        store.create(layout.mark("benchmark", run, 0), records.encode(mark))
    return folder
