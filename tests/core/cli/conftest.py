"""The command, as the tests of the command line call it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from projects import Answer, answer_here


@pytest.fixture
def call(project: Path) -> Callable[..., Answer]:
    """Run the command in the project of the test's file."""
    return answer_here
