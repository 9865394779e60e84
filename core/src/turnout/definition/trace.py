"""A trace: the steps that a pipeline's function calls, written down instead of run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from turnout.base import names
from turnout.base.errors import DefinitionError, Location
from turnout.definition import functions
from turnout.model.spec import Entrypoint, StepSpec

current: ContextVar[Trace | None] = ContextVar("turnout_trace", default=None)
"""The trace that is written now, if a pipeline's function runs to define it."""


class Trace:
    """What one pipeline's function has called so far."""

    def __init__(self, pipeline: str, function: Callable[..., Any]) -> None:
        self.pipeline = pipeline
        self.steps: list[StepSpec] = []
        self.functions: dict[str, Callable[..., Any]] = {}
        self.values: dict[str, bytes] = {}
        self.running = [function]
        self.gate: str | None = None
        self.unentered: dict[int, Location] = {}
        self._groups: tuple[str, ...] = ()
        self._numbers: dict[str, int] = {}
        self._taken: dict[str, tuple[str, Location]] = {}
        self._entrypoints: dict[int, Entrypoint] = {}

    def full(self, name: str) -> str:
        """A step's name with the sub-pipelines before it that are traced now."""
        return ".".join((*self._groups, name))

    def free(self, base: str, first: int) -> str:
        """The next free name of the kind ``base_<number>``, counted from *first*."""
        counted = self.full(base)
        number = self._numbers.get(counted, first)
        while self.full(f"{base}_{number}").casefold() in self._taken:
            number += 1
        self._numbers[counted] = number + 1
        return f"{base}_{number}"

    def is_taken(self, name: str) -> bool:
        """Whether a step or sub-pipeline has this name here, but for its case."""
        return self.full(name).casefold() in self._taken

    def claim(self, name: str, kind: str, where: Location) -> str:
        """Reserve a name for a step, gate or sub-pipeline, and return it in full.

        Raises:
            DefinitionError: when it cannot be used or is taken.
        """
        full = self.full(name)
        if len(full) > names.MAX_LENGTH:
            raise DefinitionError(
                f"the name {full[:60]}... has {len(full)} characters, {names.MAX_LENGTH} are allowed",
                where=where,
                why="with the sub-pipelines it lies in it becomes a path, a task id and a Kubernetes name",
                fix='give a shorter name: .named("…")',
            )
        taken, first = self._taken.setdefault(full.casefold(), (full, where))
        if first is not where:
            how = f'with when(…, name="{name}_2")' if kind == "gate" else f'.named("{name}_2")'
            raise DefinitionError(
                f"the name {full!r} is used twice"
                if taken == full
                else f"the names {taken!r} and {full!r} differ in case only",
                where=where,
                why=f"it was first used at {first}",
                fix=f"name one of them: {how}",
            )
        return full

    def add(self, step: StepSpec, function: Callable[..., Any] | None = None) -> None:
        """Write a step down, with the function it runs where that is the project's own."""
        self.steps.append(step)
        if function is not None:
            self.functions[step.name] = function

    @property
    def guards(self) -> tuple[str, ...]:
        """The guards of a step that is called now: the innermost gate, itself guarded by the outer ones."""
        return () if self.gate is None else (self.gate,)

    def entrypoint(self, function: Callable[..., Any], holder: object) -> Entrypoint:
        """Where a worker finds a step's function; one that travels by value is pickled once a trace."""
        entrypoint = self._entrypoints.get(id(function))
        if entrypoint is None:
            placed = functions.entrypoint(function, holder)
            entrypoint = self._entrypoints[id(function)] = placed.entrypoint
            if placed.value is not None and entrypoint.value is not None:
                self.values[entrypoint.value] = placed.value
        return entrypoint

    @contextmanager
    def group(self, name: str, function: Callable[..., Any]) -> Iterator[None]:
        """Trace a sub-pipeline: its steps get its name before theirs."""
        self._groups = (*self._groups, name)
        self.running.append(function)
        try:
            yield
        finally:
            self.running.pop()
            self._groups = self._groups[:-1]
