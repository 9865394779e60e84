"""The pytest fixtures that come with turnout: a stack to test pipelines on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from turnout.testing.corpus_project import Corpus

for _module in (
    "artifact_store",
    "component",
    "deployer",
    "feature_store",
    "materializer",
    "observer",
    "orchestrator",
    "policy",
    "processes",
    "secret_store",
    "tracker",
    "trial",
):
    pytest.register_assert_rewrite(f"turnout.testing.{_module}")


@pytest.fixture
def turnout_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a stack for this test alone: a temporary store, and steps that run in this very process.

    While the test runs it is also the stack that is used where none is named. A step's own exception is the
    ``__cause__`` of the :class:`turnout.RunError`, and a debugger stops in the step.
    """
    folder = tmp_path / "turnout"
    folder.mkdir()
    stack = folder / "stack.yaml"
    settings = {
        "extends": "local",
        "orchestrator": {"type": "local", "in_process": True},
        "artifact_store": {"root": str(folder / "store")},
    }
    stack.write_text(json.dumps(settings), encoding="utf-8")
    monkeypatch.setenv("TURNOUT_STACK", str(stack))
    return str(stack)


@pytest.fixture(scope="session")
def turnout_corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    """The pipelines that every orchestrator is tried with, as a project in a folder of its own."""
    from turnout.testing.corpus_project import Corpus

    corpus = Corpus(tmp_path_factory.mktemp("turnout-corpus"))
    yield corpus
    corpus.close()
