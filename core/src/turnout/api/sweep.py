"""Sweeps: one pipeline run once for each combination of parameters, some at a time, on any stack."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from turnout.api.launch import Launch
from turnout.api.run import Run
from turnout.api.workspace import Workspace
from turnout.base import clock
from turnout.base.errors import ConfigError, TurnoutError, did_you_mean
from turnout.components.orchestrator import RunHandle
from turnout.model.records import Options, RunState

TAG = "sweep"
"""The tag that all runs of a sweep have, with the sweep's id."""


class Point:
    """One combination: its parameters as they were given, and what became of it."""

    def __init__(self, params: Mapping[str, Any], workspace: Workspace) -> None:
        self.params = dict(params)
        self.handle: RunHandle | None = None
        self.state: RunState | None = None
        """The run's state; None before it has started."""
        self.error: TurnoutError | None = None
        """Why the run could not be started."""
        self._workspace = workspace

    @property
    def run_id(self) -> str | None:
        """The run's id, once it has started."""
        return None if self.handle is None else self.handle.run_id

    @cached_property
    def run(self) -> Run | None:
        """The run; None where it did not start, or no worker has written anything of it."""
        if self.handle is None:
            return None
        try:
            return Run(self.handle.run_id, workspace=self._workspace)
        except ConfigError:
            return None

    def end(self, said: RunState) -> None:
        """Note the state of the run, whose engine says how it has ended."""
        self.state = said if self.run is None else self.run.ended(said)


class Sweep:
    """The runs of a sweep, in the order of their combinations."""

    def __init__(self, id: str, points: Sequence[Point]) -> None:  # noqa: A002
        self.id = id
        self.points = tuple(points)

    @property
    def succeeded(self) -> bool:
        """Whether every run did."""
        return all(point.state == "succeeded" for point in self.points)

    @property
    def runs(self) -> list[Run]:
        """The runs there are."""
        return [point.run for point in self.points if point.run is not None]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """For each combination its ``run``, ``state``, ``error``, and by name its ``params`` and ``metrics``."""
        return [
            {
                "run": point.run_id,
                "state": point.state or "not run",
                "params": {name: point.run.params[name] for name in point.params} if point.run else point.params,
                "metrics": point.run.metrics if point.run else {},
                "error": "" if point.error is None else str(point.error),
            }
            for point in self.points
        ]

    def to_dataframe(self) -> Any:
        """A pandas data frame with a row a run: its id, state, the parameters that were varied, and metrics."""
        import pandas as pd

        flat = [{"run": row["run"], "state": row["state"], **row["params"], **row["metrics"]} for row in self.rows]
        return pd.DataFrame(flat)

    def _repr_html_(self) -> str:
        return str(self.to_dataframe().to_html())


def combinations(values: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of values, the last name varying fastest."""
    for chosen in itertools.product(*values.values()):
        yield dict(zip(values, chosen, strict=True))


def sweep(
    launch: Launch,
    values: Mapping[str, Sequence[Any]],
    *,
    params: Mapping[str, Any] | None = None,
    options: Options | None = None,
    max_parallel: int = 1,
    tell: Callable[[Point], None] = lambda _: None,
) -> Sweep:
    """Run a planned pipeline for each combination and wait for the end of all; one that fails stops no other.

    Args:
        values: for each parameter that is varied its values.
        params: the parameters that stay the same.
        options: as for every one of the runs, which are tagged ``sweep`` besides and have one logical time.
        max_parallel: how many runs are in progress at a time.
        tell: called when a run has started, and when it has ended.

    Raises:
        ConfigError: before any run has started, for an unknown parameter, a value that does not fit, or none at all.
    """
    fixed, given = dict(params or {}), options or Options()
    _check(launch, values, fixed, max_parallel)
    name = uuid.uuid4().hex[:8]
    given = msgspec.structs.replace(given, tags={**given.tags, TAG: name}, at=given.at or clock.now(), effects=False)
    made = Sweep(name, [Point(one, launch.workspace) for one in combinations(values)])
    for point in made.points:
        launch.submission({**fixed, **point.params}, given)
    pending, active = list(made.points), list[Point]()
    try:
        while pending or active:
            while pending and len(active) < max_parallel:
                point = pending.pop(0)
                try:
                    point.handle = launch.submit({**fixed, **point.params}, given)
                except TurnoutError as error:
                    point.state, point.error = "failed", error
                else:
                    point.state = "running"
                    active.append(point)
                tell(point)
            for point in list(active):
                assert point.handle is not None
                point.state = point.handle.wait(0.5 / len(active))
                if point.state != "running":
                    active.remove(point)
                    point.end(point.state)
                    tell(point)
    except KeyboardInterrupt:
        for point in active:
            if point.handle is not None:
                launch.cancel(point.handle)
                point.end(point.handle.wait())
                tell(point)
        raise
    return made


def _check(launch: Launch, values: Mapping[str, Sequence[Any]], fixed: Mapping[str, Any], max_parallel: int) -> None:
    if not values:
        raise ConfigError("a sweep varies at least one parameter", fix="name one, with its values")
    known = [param.name for param in launch.plan.params]
    for name, several in values.items():
        if name not in known:
            raise ConfigError(
                f"{launch.plan.name} has no parameter {name!r}. {did_you_mean(name, known)}".rstrip(" ."),
                fix=f"its parameters are: {', '.join(known) or 'none'}",
            )
        if name in fixed:
            raise ConfigError(f"the parameter {name!r} is varied and given, too", fix="do one of the two")
        if isinstance(several, (str, bytes)) or not isinstance(several, Sequence) or not several:
            raise ConfigError(f"the values of {name!r} are no list of at least one", fix=f"write {name}=[…, …]")
    if max_parallel < 1:
        raise ConfigError(f"{max_parallel} runs at a time is none", fix="give at least 1")
