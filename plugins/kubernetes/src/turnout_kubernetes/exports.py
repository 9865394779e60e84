"""What an earlier export says: which versions share the requests, and how each of them was rendered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from turnout.plugin_api import DeployError, EndpointPlan
from turnout_kubernetes import versions
from turnout_kubernetes.cluster import CONFIG_MAP, Kind
from turnout_kubernetes.versions import RELEASE, Release, Revision, percent

Document = dict[str, Any]
RESTORE = "restore the folder from version control; or export the live version anew, without --share"


def release_after(
    revision: Revision, exported: Mapping[str, bytes], main: Kind, share: float, *, mirror: bool
) -> tuple[Release, dict[str, Revision]]:
    """The release of a version that is exported over an earlier export, and all its revisions.

    It has no versions before: version control has them.

    Args:
        main: the kind of the object that says what is served.
        mirror: a canary gets copies of requests.

    Raises:
        DeployError: for a canary where nothing else is live, or what is live cannot be read.
    """
    part = percent(share)
    documents = _documents(exported)
    before = _release(documents, main)
    if part == 100:
        return _alone(revision, before), {revision.name: revision}
    plan = revision.plan
    if before is None:
        raise DeployError(
            f"the folder has no live version of the endpoint {plan.name}, beside which it could be a canary",
            where=plan.where,
            fix="export the live version first, without --share",
        )
    if before.live.version == plan.digest:
        raise DeployError(
            f"the endpoint {plan.name} is that version already",
            where=plan.where,
            why=f"the live version in the folder is {plan.digest[:12]}, too",
            fix="take a newer run: --update; or end the canary: --share 1",
        )
    live = _revision(documents, before.live.revision, plan)
    release = Release(served=before.served[:1]).with_canary(revision, part, mirror=mirror)
    return release, {live.name: live, revision.name: revision}


def _alone(revision: Revision, before: Release | None) -> Release:
    """The release in which a version is live; that of the canary is promoted in its own slot, so that its pods stay."""
    if before is None:
        return versions.first(revision)
    canary = before.canary
    kept = canary if canary is not None and canary.version == revision.plan.digest else before.live
    live = msgspec.structs.replace(kept, version=revision.plan.digest, revision=revision.name, share=100)
    return Release(served=(live,))


def _documents(exported: Mapping[str, bytes]) -> list[Document]:
    return [one for name, data in exported.items() if name.endswith(".yaml") for one in _read(data)]


def _read(data: bytes) -> Iterator[Document]:
    import yaml  # not where it is only named: a component is made without a library of C

    try:
        for one in yaml.load_all(data, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(one, dict):
                yield one
    except (yaml.YAMLError, UnicodeDecodeError):  # what it lacks is told where it is needed
        return


def _release(documents: list[Document], main: Kind) -> Release | None:
    for one in documents:
        if one.get("kind") == main.kind and (text := _at(one, "metadata", "annotations").get(RELEASE)):
            try:
                return msgspec.json.decode(text, type=Release)
            except (msgspec.MsgspecError, TypeError):
                return None
    return None


def _revision(documents: list[Document], name: str, plan: EndpointPlan) -> Revision:
    """The live revision, which must be what its name says."""
    for one in documents:
        if one.get("kind") == CONFIG_MAP.kind and _at(one, "metadata").get("name") == name:
            with suppress(DeployError):
                found = Revision.read(name, _at(one, "data"))
                if versions.revision_name(found.plan, _without(found.piece, name)) == name:
                    return found
    raise DeployError(
        f"the folder does not say how the live version of the endpoint {plan.name} was rendered",
        where=plan.where,
        why=f"{name}.yaml is not there, or was changed",
        fix=RESTORE,
    )


def _without(piece: Any, name: str) -> Any:
    """A piece without its own revision's name, which follows from the rest."""
    if isinstance(piece, dict):
        return {key: _without(one, name) for key, one in piece.items()}
    if isinstance(piece, list):
        return [_without(one, name) for one in piece]
    return "" if piece == name else piece


def _at(document: Document, *keys: str) -> Document:
    for key in keys:
        found = document.get(key)
        document = found if isinstance(found, dict) else {}
    return document
