"""An endpoint's versions on a cluster: which share the requests, and which were there before."""

from __future__ import annotations

from typing import Any

import msgspec

from turnout.plugin_api import DeployError, EndpointPlan, KubernetesNames, decode_endpoint, digest_of, pretty

LABEL = "turnout.dev/endpoint"
"""The label that all objects of an endpoint have, with its name on the cluster."""
REVISION = "turnout.dev/revision"
"""The label of pods that says which revision they serve."""
RELEASE = "turnout.dev/release"
"""The annotation of the main object that says what is served: a :class:`Release` as JSON."""
NAME = "turnout.dev/name"
"""The annotation with the endpoint's own name."""
MANAGER = "turnout"
"""Who says so: the field manager, and the value of ``app.kubernetes.io/managed-by``."""
PLAN, PIECE = "endpoint.json", "version.json"
"""The keys of a revision's ConfigMap: the plan, and what the deployer made of it."""
LARGEST = 900_000
"""Bytes of a ConfigMap: Kubernetes takes one MiB, labels and all."""
BLUE, GREEN = "blue", "green"
"""The two slots: a version keeps its slot, and so its pods, when it is promoted."""
KEPT = 2
"""Versions before the live one that can be gone back to."""


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """A version as it was rendered: its plan, and the *piece* of the deployer's objects that serves it.

    The same version rendered by other settings is another revision, so that going back brings those back, too.
    """

    plan: EndpointPlan
    name: str
    piece: dict[str, Any]

    @property
    def data(self) -> dict[str, str]:
        """The data of its ConfigMap."""
        plan = msgspec.json.decode(self.plan.encode())
        return {PLAN: pretty(plan).decode(), PIECE: pretty(self.piece).decode()}

    @classmethod
    def read(cls, name: str, data: dict[str, str]) -> Revision:
        """The revision of a ConfigMap.

        Raises:
            PlanError: when its plan cannot be read.
            DeployError: when it is none.
        """
        try:
            return cls(
                plan=decode_endpoint(data[PLAN].encode(), f"{PLAN} of {name}"),
                name=name,
                piece=msgspec.json.decode(data[PIECE], type=dict[str, Any]),
            )
        except (KeyError, msgspec.MsgspecError) as error:
            raise DeployError(
                f"the ConfigMap {name} holds no version of an endpoint: {error}", fix="deploy the endpoint again"
            ) from None


class Served(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of the versions that share the requests: its digest, its ConfigMap, its slot, and its share in percent."""

    version: str
    revision: str
    slot: str
    share: int


class Release(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an endpoint is to serve: the live version first, then a canary; and the revisions before, newest last.

    A ``shadow`` gets copies of requests, and nobody gets its answers; its share is how many, in percent.
    """

    served: tuple[Served, ...]
    shadow: Served | None = None
    before: tuple[str, ...] = ()

    @property
    def live(self) -> Served:
        """The live version."""
        return self.served[0]

    @property
    def canary(self) -> Served | None:
        """The version that may be promoted, if there is one: it has a share of the requests, or copies of them."""
        return self.served[1] if len(self.served) > 1 else self.shadow

    @property
    def shown(self) -> tuple[str, ...]:
        """The revisions that have pods."""
        return tuple(one.revision for one in (*self.served, self.shadow) if one is not None)

    @property
    def revisions(self) -> tuple[str, ...]:
        """All revisions that are to be kept."""
        return tuple(dict.fromkeys([*self.shown, *self.before]))

    def deployed(self, revision: Revision) -> Release:
        """The release with another live version; a canary ends, the slot stays."""
        live = msgspec.structs.replace(self.live, version=revision.plan.digest, revision=revision.name, share=100)
        before = self.before if live.revision == self.live.revision else (*self.before, self.live.revision)
        return Release(served=(live,), before=_kept(before, live.revision))

    def with_canary(self, revision: Revision, share: int, *, mirror: bool = False) -> Release:
        """The release with a canary beside the live version; *mirror*: it gets copies."""
        slot = GREEN if self.live.slot == BLUE else BLUE
        canary = Served(version=revision.plan.digest, revision=revision.name, slot=slot, share=share)
        before = tuple(one for one in self.before if one != revision.name)
        if mirror:
            live = msgspec.structs.replace(self.live, share=100)
            return Release(served=(live,), shadow=canary, before=before)
        return Release(served=(msgspec.structs.replace(self.live, share=100 - share), canary), before=before)

    def promoted(self) -> Release:
        """The release in which the canary is live: in its own slot, so that its pods stay."""
        assert self.canary is not None
        live = msgspec.structs.replace(self.canary, share=100)
        return Release(served=(live,), before=_kept((*self.before, self.live.revision), live.revision))

    def rolled_back(self, revision: Revision | None) -> Release:
        """The release without its canary; where it has none, with the *revision* before as the live version."""
        if revision is None:
            return Release(served=(msgspec.structs.replace(self.live, share=100),), before=self.before)
        live = msgspec.structs.replace(self.live, version=revision.plan.digest, revision=revision.name, share=100)
        return Release(served=(live,), before=self.before[:-1])


def first(revision: Revision) -> Release:
    """The release of an endpoint that was not there."""
    live = Served(version=revision.plan.digest, revision=revision.name, slot=BLUE, share=100)
    return Release(served=(live,))


def revise(plan: EndpointPlan, piece: Any) -> Revision:
    """The revision of a plan.

    Args:
        piece: gives the deployer's piece for a ConfigMap's name, which follows from the piece itself.

    Raises:
        DeployError: when a ConfigMap cannot hold it.
    """
    name = revision_name(plan, piece(""))
    revision = Revision(plan=plan, name=name, piece=piece(name))
    size = sum(len(value.encode()) for value in revision.data.values())
    if size > LARGEST:
        raise DeployError(
            f"the plan of the endpoint {plan.name} takes {size:,} bytes, and a ConfigMap holds {LARGEST:,}",
            where=plan.where,
            why="a request like a table of very many columns or categories is described in it",
            fix="leave columns out that requests need not give: without=",
        )
    return revision


def revision_name(plan: EndpointPlan, piece: dict[str, Any]) -> str:
    """The name of a revision: it says what is in it. Where the piece has the name itself, it must be empty here."""
    return f"{cluster_name(plan.name)}-{digest_of([plan.digest, piece])[:10]}"


LONGEST = 40
"""Characters of an endpoint's name on a cluster: names of pods are made of it, and have 63."""


def cluster_name(name: str) -> str:
    """The name of an endpoint's objects; one that Kubernetes would not take is made one that it does."""
    return KubernetesNames(longest=LONGEST).take(name)


def percent(share: float) -> int:
    """A share of the requests in whole percent.

    Raises:
        DeployError: for none, more than all, or what is no whole percent.
    """
    if not 0 < share <= 1:
        raise DeployError(f"a share of {share:g} of the requests cannot be given", fix="give more than 0, at most 1")
    found = round(share * 100)
    if abs(share * 100 - found) > 1e-6:
        raise DeployError(
            f"a share of {share:g} of the requests cannot be given",
            why="weights on a cluster are whole percents, and add up to 100",
            fix="give whole hundredths: --share 0.05",
        )
    return found


def _kept(before: tuple[str, ...], live: str) -> tuple[str, ...]:
    return tuple(one for one in dict.fromkeys(reversed(before)) if one != live)[:KEPT][::-1]
