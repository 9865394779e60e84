"""Only code that a commit holds."""

from __future__ import annotations

from turnout.components.base import Config
from turnout.components.policy import Policy, Violation
from turnout.model.plan import Plan
from turnout.model.records import Git


class CleanGit(Policy[Config]):
    """Refuses code from outside a git repository, or from a work tree that differs from its commit."""

    name = "clean_git"

    def check(self, plan: Plan) -> tuple[Violation, ...]:
        return ()

    def check_origin(self, origin: Git | None) -> tuple[Violation, ...]:
        if origin is None:
            what = "the code does not come from a git commit"
            return (Violation(what=what, fix="put the project into a git repository and commit it"),)
        if origin.dirty:
            what = f"the project's files differ from the commit {origin.commit[:12]}"
            return (Violation(what=what, fix="commit them, or leave them out: [tool.turnout.code] exclude"),)
        return ()
