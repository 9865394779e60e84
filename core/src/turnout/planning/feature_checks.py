"""What a pipeline or endpoint asks of the stack's feature store, held to what the store has: before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from turnout.base.errors import ConfigError, PlanError, TurnoutError, UnsupportedError
from turnout.components.feature_store import FeatureStore, FeatureView
from turnout.components.kinds import FEATURE_STORE
from turnout.features import columns, materializing, references, retrieval
from turnout.model.endpoint_plan import Request
from turnout.model.feature_use import FeatureUse, feature_use
from turnout.model.inputs import Param
from turnout.model.spec import StepSpec
from turnout.stack.bind import instantiate
from turnout.stack.references import resolve_worker
from turnout.stack.stack import Stack

_DONE = {"historical": "joined to a table", "online": "read online", "materialize": "materialized"}


class _Asked(msgspec.Struct, frozen=True):
    """A step that uses the feature store, and what it asks."""

    step: StepSpec
    use: FeatureUse


def check(
    steps: Iterable[StepSpec], stack: Stack, *, here: bool, notes: list[str], requests: Iterable[Request] = ()
) -> list[TurnoutError]:
    """Everything that steps ask of the feature store and will not get.

    What only a worker can know is left to it: a store that cannot be asked from here, and data that is not there yet.

    Args:
        here: whether the work is done on this machine.
        notes: takes what a person should know of it.
        requests: what each request to an endpoint gives. The columns of other tables are known once they are made.
    """
    asked = [_Asked(step, use) for step in steps if (use := feature_use(step)) is not None]
    if not asked:
        return []
    chosen, first = stack.worker(here=True).feature_store, asked[0].step
    if chosen.type == "none":
        return [
            PlanError(
                f"the step {one.step.name} asks for {one.use.text}, and the stack {stack.name} has no feature store",
                where=one.step.where,
                fix="choose one in the stack: `feature_store: {type: local, folder: features, views: {…}}`",
            )
            for one in asked
        ]
    if not here and (relative := stack.relative_paths(FEATURE_STORE)):
        return [
            UnsupportedError(
                f"the feature store {chosen.type!r} is at a relative path ({', '.join(relative)}), and steps run on "
                "other machines",
                where=first.where,
                why="there it would be another folder, or none",
                fix="write an absolute path or a URL that all workers share",
            )
        ]
    try:
        config, _ = resolve_worker(chosen.config, stack.environ, lambda name: stack.secret(name) or _not_here(name))
    except ConfigError as error:
        notes.append(f"features are not checked before the run: {error.what}")
        return []
    try:
        store = instantiate(stack.registry, FEATURE_STORE, chosen.type, config)
        store.package_index = stack.package_index
        views = store.describe()
    except ConfigError as error:
        return [_at(error, first)]
    except TurnoutError as error:
        notes.append(f"features are not checked before the run: {error.what}")
        return []
    problems: list[TurnoutError] = []
    tables = {request.name: request for request in requests if request.columns}
    for one in asked:
        try:
            notes += _check(one, store, views, tables)
        except TurnoutError as error:
            problems.append(_at(error, one.step))
    return problems


def _not_here(name: str) -> str:
    raise ConfigError(f"the secret {name!r} is not there")


def _at(error: TurnoutError, step: StepSpec) -> TurnoutError:
    """An error of the feature store as one of the plan, with the line that asks."""
    return PlanError(f"{step.name}: {error.what}", where=step.where, why=error.why, fix=error.fix)


def _check(
    asked: _Asked, store: FeatureStore[Any], views: tuple[FeatureView, ...], tables: Mapping[str, Request]
) -> list[str]:
    use, by_name = asked.use, {view.name: view for view in views}
    features = store.resolve(use.service) if use.service else use.features
    named = materializing.views_of(features)
    unread = [by_name[name] for name in named if name in by_name and by_name[name].problem]
    if any(not view.features for view in unread) and by_name.keys() >= set(named):
        return [f"{asked.step.name} is not checked before the run: {view.problem}" for view in unread]
    if use.use == "materialize":
        request = references.request(views, features, inputs=_inputs(features, by_name))
    else:
        request = references.request(views, features, entity=use.entity, keys=use.keys, inputs=use.inputs)
        table = asked.step.inputs["entities"].source
        key_types = request.key_types  # raises where views disagree
        if isinstance(table, Param) and table.name in tables:
            _check_table(tables[table.name], request, key_types)
    for view in request.views:
        if why := view.refuses.get(use.use):
            raise ConfigError(
                f"the feature view {view.name!r} cannot be {_DONE[use.use]}",
                why=why,
                fix="leave it out, or change its definition in the feature store",
            )
    if use.known_at:
        retrieval.check_known_at(request)
    if asked.step.cache is True and not store.versions_data:
        raise UnsupportedError(
            f"the feature store {store.name!r} cannot tell when its data changes: a look-up is cached for a time only",
            fix='write cache="12h"',
        )
    problems = [f"{asked.step.name}: {view.problem}" for view in unread]
    return problems + [f"the feature view {view.name}: {note}" for view in request.views for note in view.notes]


def _check_table(table: Request, asked: references.Request, key_types: Mapping[str, str]) -> None:
    """That a request's table has the columns of a look-up, keys in types that may match, and none of its results."""
    given = {column.name: column.type for column in table.columns or ()}
    keys = {column: key for key, column in asked.keys.items()}
    for column in (*key_types, *asked.inputs):
        if column not in given:
            by = f", or look up by another one: keys={{{keys[column]!r}: …}}" if column in keys else ""
            raise ConfigError(
                f"the request's table {table.name!r} has no column {column!r}, which the look-up takes",
                why=f"its columns are {', '.join(given)}",
                fix=f"let requests give it, by columns= or without= of @endpoint{by}",
            )
    for column, declared in key_types.items():
        if why := columns.never_match(given[column], declared):
            raise ConfigError(
                f"the column {column!r} of the request's table {table.name!r} never matches the feature view's key",
                why=why,
                fix="convert it in the step whose table requests are like, or in one before the look-up",
            )
    if taken := [feature for feature in asked.types if feature in given]:
        raise ConfigError(
            f"the request's table {table.name!r} already has the column {taken[0]!r}, which the look-up adds",
            fix=f"leave it out of requests: without={{{table.name!r}: {taken!r}}}",
        )


def _inputs(features: Iterable[str], by_name: dict[str, FeatureView]) -> list[str]:
    views = [by_name[name] for name in materializing.views_of(tuple(features)) if name in by_name]
    return list(dict.fromkeys(name for view in views for name in view.inputs))
