"""What a look-up of features depends on besides its inputs: the version of what the store would answer by."""

from __future__ import annotations

from typing import Any

import msgspec

from turnout.base.errors import RunError
from turnout.components.feature_store import FeatureStore
from turnout.model.feature_use import FeatureUse, feature_use
from turnout.model.plan import StepPlan
from turnout.model.records import Record
from turnout.runtime.session import Session


def read_before(session: Session, step: StepPlan) -> dict[str, str]:
    """The store and the version of what a historical look-up depends on, as it was when this was first asked for.

    Empty for any other step. The answer must be older than what the step reads, so ask before it runs.
    """
    use = feature_use(step)
    if use is None or use.use != "historical":
        return {}
    known = session.feature_versions
    if step.name not in known:
        known[step.name] = _version(session, use)
    return known[step.name]


def check_unchanged(session: Session, step: StepPlan) -> None:
    """That a look-up has read what its version says.

    Raises:
        RunError: when the store's data or definitions have changed since: the step is worth another try.
    """
    use, before = feature_use(step), session.feature_versions.get(step.name)
    if use is not None and before is not None and _version(session, use) != before:
        del session.feature_versions[step.name]
        raise RunError(
            f"the features of {step.name} changed while they were read", fix="run it again: turnout runs resume RUN"
        )


def tags(session: Session, step: StepPlan) -> dict[str, str]:
    """What a run is to be found by in a tracker, as its feature store wants it: known once a historical look-up runs.

    All such look-ups of the run are named by each of them: a tracker keeps the tags of the one that it hears of last.
    Empty for any other step.
    """
    use = feature_use(step)
    if use is None or use.use != "historical":
        return {}
    uses = [one for one in map(feature_use, session.run.plan.steps) if one is not None and one.use == "historical"]
    store = session.components.feature_store
    asked = dict.fromkeys(reference for one in uses for reference in _references(store, one))
    return dict(store.tags(tuple(asked), tuple(dict.fromkeys(one.service for one in uses if one.service))))


def tagged(record: Record, tags: dict[str, str]) -> Record:
    """A look-up's record of another run, with the tags of this one, which may look up more, or less."""
    return msgspec.structs.replace(record, logged=msgspec.structs.replace(record.logged, tags=tags))


def _version(session: Session, use: FeatureUse) -> dict[str, str]:
    store = session.components.feature_store
    return {"store": store.name, "version": store.version(_references(store, use))}


def _references(store: FeatureStore[Any], use: FeatureUse) -> tuple[str, ...]:
    return store.resolve(use.service) if use.service else use.features
