"""The contract of policies: what a platform team does not allow."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from turnout.components.base import Component, ConfigT
from turnout.plan.model import Plan
from turnout.spec.model import Place


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a policy does not allow: what, where it is asked for, and what to do instead."""

    what: str
    step: str | None = None
    place: Place | None = None
    fix: str = ""


class Policy(Component[ConfigT], ABC):
    """Checks a plan: while planning, and again on the worker before a step runs."""

    @abstractmethod
    def check(self, plan: Plan) -> tuple[Violation, ...]:
        """Every violation of the plan; empty if it is allowed."""
