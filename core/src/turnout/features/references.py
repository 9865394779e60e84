"""References to features, looked for among the views of a store: which there are, and the columns they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec

from turnout.base.errors import ConfigError, did_you_mean
from turnout.components.feature_store import FeatureView


class Request(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What is retrieved: references, and the columns of a table that it takes."""

    features: tuple[str, ...]
    views: tuple[FeatureView, ...]
    """The views that the features belong to, each once, in the order of their first feature."""
    keys: dict[str, str]
    """The table's column for each key of the views."""
    inputs: tuple[str, ...]

    @cached_property
    def types(self) -> dict[str, str]:
        """The features' types by their names, in the order of the references."""
        views = {view.name: view for view in self.views}
        return {feature: views[view].features[feature] for view, feature in map(split, self.features)}

    @cached_property
    def key_types(self) -> dict[str, str]:
        """The types of the table's key columns.

        Raises:
            ConfigError: when two views declare one key with types that never match.
        """
        found: dict[str, str] = {}
        for view in self.views:
            for key, type_ in view.keys.items():
                column = self.keys[key]
                found[column] = _common(found.get(column, type_), type_, view.name, key)
        return found


def split(reference: str) -> tuple[str, str]:
    """The view and the feature that a reference names.

    Raises:
        ConfigError: for what is no reference.
    """
    view, colon, feature = reference.partition(":")
    if not colon or not view or not feature or ":" in feature:
        raise ConfigError(f"{reference!r} does not name a feature", fix="write it as 'view:feature'")
    return view, feature


def request(
    described: Sequence[FeatureView],
    features: Sequence[str],
    *,
    entity: str = "",
    keys: Mapping[str, str] | None = None,
    inputs: Sequence[str] = (),
) -> Request:
    """Look references up among the views of a store.

    Args:
        entity: the table's column for the only key of each view.
        keys: the table's columns for keys; a key that is left out has a column of its own name.

    Raises:
        ConfigError: for what is not there, clashes, or lacks a key or an input.
    """
    by_name = {view.name: view for view in described}
    views: dict[str, FeatureView] = {}
    seen: dict[str, str] = {}
    for reference in features:
        name, feature = split(reference)
        if name not in by_name:
            what = f"the feature store has no view {name!r}. {did_you_mean(name, by_name)}".rstrip(". ")
            raise ConfigError(what, fix=f"its views are {', '.join(by_name) or 'none'}")
        view = views[name] = by_name[name]
        if feature not in view.features and view.problem:
            raise ConfigError(view.problem, fix="correct the view in the feature store's settings, or see to its files")
        if feature not in view.features:
            what = f"the feature view {name!r} has no feature {feature!r}. {did_you_mean(feature, view.features)}"
            raise ConfigError(what.rstrip(". "), fix=f"its features are {', '.join(view.features)}")
        if feature in seen:
            what = f"{seen[feature]!r} and {reference!r} would become columns of one name"
            raise ConfigError(what, fix="look them up one after the other and rename the first")
        seen[feature] = reference
    columns: dict[str, str] = {}
    for view in views.values():
        columns |= _columns(view, entity, keys or {})
        _check_inputs(view, inputs)
    _check_taken(columns, keys or {}, inputs, tuple(views.values()))
    return Request(
        features=tuple(features), views=tuple(views.values()), keys=columns, inputs=tuple(dict.fromkeys(inputs))
    )


def _columns(view: FeatureView, entity: str, keys: Mapping[str, str]) -> dict[str, str]:
    if entity and len(view.keys) > 1 and entity not in view.keys:
        raise ConfigError(
            f"the feature view {view.name!r} has the keys {', '.join(view.keys)}, of which {entity!r} is none",
            fix=f"write keys={{{', '.join(f'{key!r}: …' for key in view.keys)}}} with the columns of the table",
        )
    alone = entity if len(view.keys) == 1 else ""
    return {key: alone or keys.get(key, key) for key in view.keys}


def _check_inputs(view: FeatureView, inputs: Sequence[str]) -> None:
    if missing := [name for name in view.inputs if name not in inputs]:
        raise ConfigError(
            f"the feature view {view.name!r} is computed from {', '.join(missing)}, which a request must bring",
            fix=f"name them: Features(…, inputs=[{', '.join(map(repr, view.inputs))}])",
        )


def _check_taken(
    columns: Mapping[str, str], keys: Mapping[str, str], inputs: Sequence[str], views: tuple[FeatureView, ...]
) -> None:
    """That no key or input is given in vain: it would be a mistake in its name."""
    names = [view.name for view in views]
    if extra := [key for key in keys if key not in columns]:
        raise ConfigError(
            f"no feature is looked up by the key {extra[0]!r}. {did_you_mean(extra[0], columns)}".rstrip(". "),
            fix=f"the keys of {', '.join(names)} are {', '.join(columns) or 'none'}",
        )
    declared = {name for view in views for name in view.inputs}
    if extra := [name for name in inputs if name not in declared]:
        raise ConfigError(
            f"no feature is computed from the input {extra[0]!r}. {did_you_mean(extra[0], declared)}".rstrip(". "),
            fix=f"the inputs of {', '.join(names)} are {', '.join(sorted(declared)) or 'none'}",
        )


_WHOLE = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_TEXT = ("string", "large_string", "string_view")


def _common(left: str, right: str, view: str, key: str) -> str:
    """The type of a column that is a key of views which declare it so."""
    for alike, common in ((_WHOLE, "int64"), (_TEXT, "string")):
        if left != right and left in alike and right in alike:
            return common
    if left != right:
        raise ConfigError(
            f"the key {key!r} of the feature view {view!r} is {right}, where another view has {left} for its column",
            fix="look the two views up one after the other",
        )
    return left
