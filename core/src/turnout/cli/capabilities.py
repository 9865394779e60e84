"""The table of what components can do, made from what they say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from turnout.components.kinds import KINDS, ORCHESTRATOR, noun
from turnout.components.registry import Registry
from turnout.model.capability import Capability


def capabilities(registry: Registry) -> dict[str, dict[str, dict[str, str]]]:
    """For each kind and feature, how each component meets it: ``native``, ``emulated`` or ``refused``."""
    found = {}
    for kind in (kind for kind in KINDS if hasattr(kind.base, "capabilities")):
        said = {component.name: _plain(component.capabilities) for component in registry.all(kind)}
        features = list(dict.fromkeys(feature for answers in said.values() for feature in answers))
        if kind == ORCHESTRATOR:
            features = [capability.value for capability in Capability]
        found[str(kind)] = {
            feature: {name: answers.get(feature, "refused") for name, answers in said.items()} for feature in features
        }
    return found


def markdown(registry: Registry) -> str:
    """The same as tables in Markdown, a kind that has no features left out."""
    tables = []
    for kind, features in capabilities(registry).items():
        names = registry.names(kind)
        if features:
            rows = [["feature", *names], ["---"] * (len(names) + 1)]
            rows += [[feature, *answers.values()] for feature, answers in features.items()]
            lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
            tables.append(f"## {noun(kind).capitalize()}s\n\n{lines}\n")
    return "\n".join(tables)


def _plain(said: Mapping[Any, str]) -> dict[str, str]:
    return {feature.value if isinstance(feature, Enum) else str(feature): answer for feature, answer in said.items()}
