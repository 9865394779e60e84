"""The base of the suites that plugins must pass: what is shipped holds, and an exception to it says why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

SHIPPED = "turnout.testing."


class Suite:
    """A shipped set of tests. Subclass it, name the subclass ``Test…`` and give the fixtures it asks for.

    A shipped test can be overridden only by one that is expected to fail, and says why::

        @pytest.mark.xfail(reason="the service has no such call before 4.0", strict=True)
        def test_it_can_be_cancelled(self): ...

    ``xfails`` says the same of single tests by their names, parameters included, with the reason.

    Raises:
        TypeError: when a class is made that leaves out a shipped test without a reason.
    """

    xfails: ClassVar[Mapping[str, str]] = {}
    """Names of tests that are expected to fail, such as ``test_a_case[timeout]``, and why each does."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        shipped = dict(_shipped_tests(cls))
        for name, owner in shipped.items():
            winner = next(base for base in cls.__mro__ if name in vars(base))
            if not _is_shipped(winner) and not _expected_to_fail(vars(winner)[name]):
                raise TypeError(
                    f"{winner.__qualname__}.{name} overrides a test of {owner.__name__}, and is not expected to fail. "
                    f'Remove it, or mark it: @pytest.mark.xfail(reason="why it cannot hold", strict=True)'
                )
        for name, reason in cls.xfails.items():
            if name.partition("[")[0] not in shipped:
                raise TypeError(f"{cls.__qualname__}.xfails names {name!r}, which is no shipped test. Correct its name")
            if not reason.strip():
                raise TypeError(f"{cls.__qualname__}.xfails gives no reason for {name!r}. Say why it cannot hold")

    @pytest.fixture(autouse=True)
    def _expect_what_is_known_to_fail(self, request: pytest.FixtureRequest) -> None:
        if reason := self.xfails.get(request.node.name):
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


def _is_shipped(cls: type[Any]) -> bool:
    return cls.__module__.startswith(SHIPPED)


def _shipped_tests(cls: type[Any]) -> Iterator[tuple[str, type[Any]]]:
    for base in cls.__mro__:
        if _is_shipped(base):
            yield from ((name, base) for name in vars(base) if name.startswith("test"))


def _expected_to_fail(test: Any) -> bool:
    marks = getattr(test, "pytestmark", ())
    return any(
        mark.name == "xfail" and str(mark.kwargs.get("reason", "")).strip() and mark.kwargs.get("strict") is True
        for mark in marks
    )
