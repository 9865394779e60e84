"""The contract of policies: what a platform team does not allow."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from turnout.components.base import Component, ConfigT
from turnout.model.plan import Plan
from turnout.model.records import Artifact, Git
from turnout.model.spec import Place


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a policy does not allow: what, where it is asked for, and what to do instead."""

    what: str
    step: str | None = None
    place: Place | None = None
    fix: str = ""


class Policy(Component[ConfigT], ABC):
    """Checks a plan: while planning, and again on the worker before a step runs.

    A check is pure: what it is given decides, no file, variable or service. One that raises refuses.
    """

    @abstractmethod
    def check(self, plan: Plan) -> tuple[Violation, ...]:
        """Every violation of the plan; empty if it is allowed."""

    def check_origin(self, origin: Git | None) -> tuple[Violation, ...]:
        """Every violation of where the code comes from: the commit, or None outside a repository.

        A plan does not say it, for the same code gives the same plan wherever it comes from.
        """
        return ()

    def check_artifact(self, artifact: Artifact, step: str) -> tuple[Violation, ...]:
        """Every violation of an artifact that a step has made; called on the worker before the step is committed."""
        return ()

    def check_read(self, artifact: Artifact) -> tuple[Violation, ...]:
        """Every violation of reading an artifact, wherever that is: on a worker, in a notebook, by a command."""
        return ()
