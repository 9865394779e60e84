"""The suite a policy must pass: it allows what it should, and says of the rest what, where, and what to do instead.

A plugin's test file is one class::

    class TestMyPolicy(PolicySuite):
        @pytest.fixture
        def policy(self):
            return MyPolicy(MyPolicy.Config())

        @pytest.fixture
        def allowed(self):
            return [sample_plan()]

        @pytest.fixture
        def forbidden(self):
            return [sample_plan(sample_step(image="evil:latest"))]

A plan may stand for itself, or be a pair of a plan and the :class:`turnout.plugin_api.Git` it comes from.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from turnout.components.base import Component
from turnout.components.policy import Policy, Violation
from turnout.model.plan import Plan, decode
from turnout.model.records import Git
from turnout.testing.component import ComponentSuite
from turnout.testing.processes import together

Given = Plan | tuple[Plan, Git | None]
_CLEAN = Git("0123456789abcdef0123456789abcdef01234567")


class PolicySuite(ComponentSuite):
    """Subclass it, name the subclass ``Test…`` and give the fixtures ``policy``, ``allowed`` and ``forbidden``."""

    kind: ClassVar[str] = "policy"

    @pytest.fixture
    def policy(self) -> Policy[Any]:
        """The policy."""
        raise NotImplementedError("give the suite a fixture 'policy'")

    @pytest.fixture
    def allowed(self) -> list[Given]:
        """Plans without a violation."""
        raise NotImplementedError("give the suite a fixture 'allowed'")

    @pytest.fixture
    def forbidden(self) -> list[Given]:
        """Plans with at least one violation each."""
        raise NotImplementedError("give the suite a fixture 'forbidden'")

    @pytest.fixture
    def component(self, policy: Policy[Any]) -> Component[Any]:
        """The policy."""
        return policy

    def test_what_is_allowed_has_no_violation(self, policy: Policy[Any], allowed: list[Given]) -> None:
        assert allowed, "give at least one plan"
        for given in allowed:
            assert violations(policy, *_split(given)) == ()

    def test_what_is_forbidden_is_said_with_its_fix(self, policy: Policy[Any], forbidden: list[Given]) -> None:
        assert forbidden, "give at least one plan"
        for given in forbidden:
            plan, origin = _split(given)
            found = violations(policy, plan, origin)
            assert found
            for violation in found:
                assert isinstance(violation, Violation)
                assert violation.what
                assert not violation.what.endswith(".")
                assert violation.fix, "say what to do instead"
                if violation.step is not None:
                    assert violation.place == plan.by_name[violation.step].place, "say where it is asked for"

    def test_a_plan_alone_decides(self, policy: Policy[Any], allowed: list[Given], forbidden: list[Given]) -> None:
        """The same on every worker: another instance, another process, a plan that was written and read."""
        given = [_split(one) for one in (*allowed, *forbidden)]
        here = [violations(policy, *one) for one in given]
        read = [(decode(plan.encode()), origin) for plan, origin in given]
        assert [violations(type(policy)(policy.config), *one) for one in read] == here
        there = together(policy, *[(all_violations, ([(p.encode(), o) for p, o in given],))] * 2)
        assert there == [here, here]


def _split(given: Given) -> tuple[Plan, Git | None]:
    return given if isinstance(given, tuple) else (given, _CLEAN)


def violations(policy: Policy[Any], plan: Plan, origin: Git | None) -> tuple[Violation, ...]:
    """All violations of a plan and of where it comes from."""
    return (*policy.check(plan), *policy.check_origin(origin))


def all_violations(policy: Policy[Any], given: list[tuple[bytes, Git | None]]) -> list[tuple[Violation, ...]]:
    """The violations of each plan, as another process finds them."""
    return [violations(policy, decode(data), origin) for data, origin in given]
