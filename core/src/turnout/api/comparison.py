"""What differs between runs: what they were given, what they were made from, what their steps made and measured."""

from __future__ import annotations

import difflib
import io
import math
import zipfile
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import msgspec

from turnout.api import allowed
from turnout.api.run import Run
from turnout.api.steprun import StepRun
from turnout.api.workspace import Workspace
from turnout.base import canonical
from turnout.base.errors import ConfigError
from turnout.model.profile import Profile
from turnout.project.archive import VALUES
from turnout.stores import layout

SINGLY = 4  # artifacts of a step that are told one by one


class Row(msgspec.Struct, frozen=True):
    """One thing and how it stands in each run, None where a run has it not.

    ``what`` is one of parameter, tag, stack, python, package, file, code, step, data and metric.
    """

    what: str
    name: str
    values: tuple[Any, ...]

    @property
    def differs(self) -> bool:
        """Whether it is not the same in all runs."""
        return any(value != self.values[0] for value in self.values[1:])


class Comparison:
    """Two or more runs side by side; times and ids do not count.

    Args:
        everything: keep what is the same in all of them, too.
    """

    def __init__(self, runs: Sequence[Run], *, everything: bool = False) -> None:
        self.runs = tuple(runs)
        self._everything = everything
        self._packages: dict[str, dict[str, bytes]] = {}

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """What differs, in the order in which a run comes about."""
        parts: tuple[tuple[str, Callable[[Run], dict[str, Any]]], ...] = (
            ("parameter", lambda run: run.params),
            ("tag", lambda run: run.info.options.tags),
            ("stack", lambda run: {"pipeline": run.info.pipeline, "stack": run.info.stack}),
            ("python", _pythons),
            ("package", _packages),
            ("file", lambda run: {name: _digest(data) for name, data in self._files(run).items()}),
            ("code", lambda run: {step.name: step.fingerprint[:12] for step in run.plan.steps if step.fingerprint}),
            ("step", lambda run: {step.name: _came_to(step) for step in run}),
            ("data", _data),
            ("metric", _metrics),
        )
        found = []
        for what, of in parts:
            each = [of(run) for run in self.runs]
            for name in dict.fromkeys(name for one in each for name in one):
                row = Row(what, name, tuple(one.get(name) for one in each))
                if self._everything or row.differs:
                    found.append(row)
        return tuple(found)

    @cached_property
    def diff(self) -> str:
        """The code of each further run against the first's, as a unified diff of the files they were made from."""
        first = self._files(self.runs[0])
        return "".join(
            line for run in self.runs[1:] for line in _diffs(first, self._files(run), self.runs[0].id, run.id)
        )

    def to_dataframe(self) -> Any:
        """The rows as a pandas data frame: indexed by what and name, a column a run."""
        import pandas as pd

        index = pd.MultiIndex.from_tuples([(row.what, row.name) for row in self.rows], names=["what", "name"])
        values = [row.values for row in self.rows]
        return pd.DataFrame(values, index=index, columns=[run.id for run in self.runs], dtype=object)

    def _files(self, run: Run) -> dict[str, bytes]:
        """The project's files in a run's code package; none where it is not in the store any more."""
        digest = run.plan.code.digest
        if digest not in self._packages:
            data = run.workspace.store.read(layout.code(digest))
            self._packages[digest] = {} if data is None else _unpacked(data)
        return self._packages[digest]

    def _repr_html_(self) -> str:
        return str(self.to_dataframe().to_html())


def compare(
    *runs: Run | str, stack: str | None = None, everything: bool = False, workspace: Workspace | None = None
) -> Comparison:
    """Hold two or more runs against each other: runs, or ids as :class:`turnout.Run` takes them.

    Args:
        stack: the stack whose store holds the runs that are given by id.
        everything: keep what is the same in all of them, too.

    Raises:
        ConfigError: when fewer than two are given, or there is no such run.
    """
    if len(runs) < 2:
        raise ConfigError("one run alone cannot be compared", fix="name two runs or more")
    if workspace is None and any(isinstance(run, str) for run in runs):
        allowed.check("turnout.compare()", "read")
        workspace = Workspace.here(stack)
    return Comparison(
        [Run(run, workspace=workspace) if isinstance(run, str) else run for run in runs], everything=everything
    )


def _metrics(run: Run) -> dict[str, Any]:
    """The metrics; what is no number as text, so that it is equal to itself."""
    return {name: value if math.isfinite(value) else str(value) for name, value in run.metrics.items()}


def _pythons(run: Run) -> dict[str, Any]:
    return {_environment(run, name): one.python for name, one in run.plan.environments.items()}


def _packages(run: Run) -> dict[str, Any]:
    """The versions by package; of an environment of its own with the first step that has it."""
    found: dict[str, Any] = {}
    for name, one in run.plan.environments.items():
        where = "" if name == "default" else f" of {_environment(run, name)}"
        for pin in one.pins:
            package, _, version = pin.partition("==")
            found[f"{package}{where}"] = version
        found.update({f"{package}{where}": digest[:12] for package, digest in one.local.items()})
    return found


def _environment(run: Run, name: str) -> str:
    return name if name == "default" else next(step.name for step in run.plan.steps if step.environment == name)


def _came_to(step: StepRun) -> str:
    """A step's state and what came out of it, by the starts of digests, many by one; its decision if it is a guard."""
    records = [part.summary.record for part in step.parts if part.summary is not None and part.summary.record]
    digests = [digest[:12] for record in records for output in record.outputs.values() for digest in output.digests]
    if len(digests) > SINGLY:
        digests = [f"{len(digests)} artifacts", _digest(canonical.encode(digests))]
    values = [str(record.value).lower() for record in records if record.value is not None]
    return " ".join([step.state, *values, *digests])


def _data(run: Run) -> dict[str, Any]:
    """What the profiles of the tables say, by step, output and column."""
    found: dict[str, Any] = {}
    for step in run:
        for part in step.parts:
            record = None if part.summary is None else part.summary.record
            for name, output in ({} if record is None else record.outputs).items():
                if output.artifact is not None and output.artifact.profile is not None:
                    found.update(_told(f"{part.label}.{name}", output.artifact.profile))
    return found


def _told(table: str, profile: Profile) -> Iterable[tuple[str, Any]]:
    yield f"{table}: rows", profile.rows
    for column in profile.columns:
        name = f"{table}.{column.name}"
        yield f"{name}: type", column.type
        yield f"{name}: missing", column.nulls
        if column.minimum is not None:
            yield f"{name}: lowest", column.minimum
            yield f"{name}: highest", column.maximum
        if column.quantiles:
            yield f"{name}: median", column.quantiles[len(column.quantiles) // 2]
        if column.distinct is not None:
            yield f"{name}: different", column.distinct
        if column.top:
            yield f"{name}: most frequent", column.top[0][0]


def _unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [entry for entry in archive.infolist() if not entry.filename.startswith(f"{VALUES}/")]
        return {entry.filename: archive.read(entry) for entry in entries}


def _digest(data: bytes) -> str:
    return canonical.digest(data)[:12]


def _diffs(left: dict[str, bytes], right: dict[str, bytes], one: str, other: str) -> Iterable[str]:
    for path in sorted({*left, *right}):
        before, after = left.get(path, b""), right.get(path, b"")
        if before == after:
            continue
        try:
            old, new = (data.decode().splitlines(keepends=True) for data in (before, after))
        except UnicodeDecodeError:
            yield f"{path} is not text, and differs\n"
            continue
        for line in difflib.unified_diff(old, new, f"{one[:8]}/{path}", f"{other[:8]}/{path}"):
            yield line if line.endswith("\n") else f"{line}\n\\ no line feed at the end\n"
