"""The tasks that could start, in order, and the room there is for them."""

from __future__ import annotations

import heapq
import itertools
import math

import msgspec

from turnout.base.quantities import memory_bytes
from turnout.engines.local.schedule import Task
from turnout.model.settings import Resources


class Demand(msgspec.Struct, frozen=True):
    """What a task needs: whole cores, and bytes of memory."""

    cores: int
    memory: float

    @classmethod
    def of(cls, resources: Resources, cores: int) -> Demand:
        """The demand of a step; one for more cores than there are is for all of them."""
        return cls(min(max(1, math.ceil(resources.cores)), cores), memory_bytes(resources.memory))


class Queue:
    """Hands out the first task that fits beside those that run. What runs alone always fits.

    A task that was put back keeps its place in the order.
    """

    def __init__(self, cores: int, memory: float) -> None:
        self.cores = cores
        self.memory = memory
        self._waiting: dict[Demand, list[tuple[int, Task]]] = {}
        self._running: dict[Task, Demand] = {}
        self._tickets: dict[Task, int] = {}
        self._next = itertools.count()
        self._used = Demand(0, 0)

    def __bool__(self) -> bool:
        return any(self._waiting.values())

    def put(self, task: Task, demand: Demand) -> None:
        """Let a task wait for its turn."""
        ticket = self._tickets.setdefault(task, next(self._next))
        heapq.heappush(self._waiting.setdefault(demand, []), (ticket, task))

    def take(self) -> Task | None:
        """The next task, its room taken until :meth:`release`; None where nothing fits."""
        if self._used.cores >= self.cores:
            return None
        fitting = [(tasks[0][0], demand) for demand, tasks in self._waiting.items() if tasks and self._fits(demand)]
        if not fitting:
            return None
        _, demand = min(fitting)
        _, task = heapq.heappop(self._waiting[demand])
        self._running[task] = demand
        self._use(demand, 1)
        return task

    def release(self, task: Task) -> None:
        """Give back a task's room."""
        self._use(self._running.pop(task), -1)

    def _fits(self, demand: Demand) -> bool:
        if not self._running:
            return True
        return self._used.cores + demand.cores <= self.cores and self._used.memory + demand.memory <= self.memory

    def _use(self, demand: Demand, sign: int) -> None:
        self._used = Demand(self._used.cores + sign * demand.cores, self._used.memory + sign * demand.memory)
