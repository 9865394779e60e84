"""Where the stacks of a project write on this machine: stores, observers' files, folders of engines and other tools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from turnout.base.errors import TurnoutError
from turnout.components.kinds import ARTIFACT_STORE, DEPLOYER, OBSERVER
from turnout.project.written import Places
from turnout.stack import references
from turnout.stack.find import open_stack
from turnout.stack.location import stacks
from turnout.stack.stack import Choice, Stack
from turnout.stores.local import LocalConfig, LocalStore


def places(stack: Stack) -> Places:
    """What *stack* and all others of its project say of where they write; one that cannot be read says nothing."""
    stores: set[str] = set()
    files: set[str] = set()
    runs: set[str] = set()
    endpoints: set[str] = set()
    for choice in _choices(stack):
        for path in _paths(stack, choice):
            if choice.kind == ARTIFACT_STORE:
                stores.add(path)
            elif choice.kind == OBSERVER:
                files.add(path)
            elif choice.kind == DEPLOYER:
                endpoints.add(path)
            else:
                runs.add(path)
    return Places(*map(frozenset, (stores, files, runs, endpoints)))


def _choices(stack: Stack) -> Iterator[Choice]:
    yield from stack.choices
    for source in stacks(stack.project):
        if not source.origin and source.label != stack.file:
            try:
                yield from open_stack(str(source.path), stack.project, stack.registry, stack.environ).choices
            except TurnoutError:  # it is told when that stack is used
                continue


def _paths(stack: Stack, choice: Choice) -> Iterator[str]:
    """The paths in the project that the settings of a component may mean: relative ones start at its root."""
    root = stack.project.root
    for keys, leaf in choice.settings.leaves():
        if not isinstance(leaf.value, str) or not keys[-1].endswith(choice.kind.paths):
            continue
        try:
            text = references.unescape(references.plan(leaf.value, stack.environ, leaf.at))
        except TurnoutError:
            continue
        if choice.kind == ARTIFACT_STORE:
            if "://" in text and not text.startswith("file:"):
                continue
            text = LocalStore(LocalConfig(root=text if text.startswith("file:") else str(root / text))).address
        for start in (root, Path.cwd()):
            path = (start / Path(text)).resolve() if text and "://" not in text else root.parent
            if path.is_relative_to(root):
                yield path.relative_to(root).as_posix()
