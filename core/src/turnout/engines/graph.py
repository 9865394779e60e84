"""What of a plan decides the shape of an engine's graph: lists that are mapped over, possible skips, ends, groups."""

from __future__ import annotations

from functools import cached_property

from turnout.model.inputs import Collected, Element, Output
from turnout.model.plan import Plan, StepPlan


class Graph:
    """A plan as an engine sees it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @cached_property
    def roots(self) -> dict[str, tuple[str, str]]:
        """For each mapped step, the step that is not mapped and the output of it whose elements it runs for."""
        roots: dict[str, tuple[str, str]] = {}
        for step in self.plan.steps:
            for given in step.inputs.values():
                if isinstance(source := given.source, Element):
                    roots[step.name] = roots.get(source.step, (source.step, source.output))
                    break
        return roots

    @cached_property
    def lists(self) -> dict[str, tuple[str, ...]]:
        """For each step with outputs that are mapped over, those outputs."""
        lists: dict[str, list[str]] = {}
        for name, output in dict.fromkeys(self.roots.values()):
            lists.setdefault(name, []).append(output)
        return {name: tuple(outputs) for name, outputs in lists.items()}

    @cached_property
    def skippable(self) -> frozenset[str]:
        """The steps that may be skipped: guarded ones, and those that need a skipped one."""
        names: set[str] = set()
        for step in self.plan.steps:
            needed = [
                given.source.step
                for given in step.inputs.values()
                if isinstance(given.source, (Output, Element, Collected))
                and (step.kind == "gate" or not given.type.optional)
            ]
            if step.guards or names.intersection(needed):
                names.add(step.name)
        return frozenset(names)

    @cached_property
    def ends(self) -> tuple[str, ...]:
        """The steps that nothing comes after."""
        return tuple(name for name, after in self.plan.downstream.items() if not after)

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The sub-pipelines, outer ones first, in the order of the plan."""
        paths = [step.group[: depth + 1] for step in self.plan.steps for depth in range(len(step.group))]
        return tuple(dict.fromkeys(paths))

    def tells(self, step: StepPlan) -> bool:
        """Whether an engine has to know the outcome of a step: what a gate decided, or how long a list is."""
        return step.kind == "gate" or step.name in self.lists
