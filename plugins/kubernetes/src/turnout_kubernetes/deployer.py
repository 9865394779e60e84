"""What deployers on Kubernetes do alike: apply, wait, tell why not, shift requests, go back, and clear away."""

from __future__ import annotations

import contextlib
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import msgspec

from turnout.plugin_api import (
    ArtifactStore,
    Bundle,
    Deployer,
    DeployError,
    EndpointPlan,
    EndpointStatus,
    VersionStatus,
    encode,
)
from turnout_kubernetes import monitoring, pods, versions
from turnout_kubernetes.cluster import CONFIG_MAP, PROMETHEUS_RULE, SERVICE_MONITOR, Cluster, Conflict, Kind
from turnout_kubernetes.exports import release_after
from turnout_kubernetes.manifests import KUSTOMIZATION, Part, bundle_files, plain
from turnout_kubernetes.progress import State
from turnout_kubernetes.secrets import check_secrets
from turnout_kubernetes.settings import KubernetesSettings, ServingOptions
from turnout_kubernetes.versions import (
    LABEL,
    MANAGER,
    NAME,
    RELEASE,
    Release,
    Revision,
    cluster_name,
    percent,
)
from turnout_kubernetes.waiting import settled

Document = dict[str, Any]
SettingsT = TypeVar("SettingsT", bound=KubernetesSettings)
MANAGED = f"app.kubernetes.io/managed-by={MANAGER}"
_TRIES = 3


class KubernetesDeployer(Deployer[SettingsT]):
    """Serves endpoints on a cluster, by a tool's objects."""

    main: ClassVar[Kind]
    """The kind of the object that stands for an endpoint."""
    kinds: ClassVar[tuple[Kind, ...]]
    """All kinds of the tool, in the order in which objects are removed that are not wanted any more."""
    options: ClassVar[type[ServingOptions]] = ServingOptions
    """What may be said of an endpoint's pods."""
    extra: ClassVar[str]
    """What brings Kubernetes' client: ``turnout-kserve[client]``."""
    exported: ClassVar[Mapping[str, str]] = {
        "environment": "name its key of a Secret in deployer.kubernetes_secrets, or in every: {secret_environment: …}",
        **dict.fromkeys(("every", "endpoints", "kubernetes_secrets", "monitoring", "errors"), "write ${env:NAME}"),
    }
    mirrors = False
    """Whether a canary is given copies of requests, and nobody its answers."""
    container: ClassVar[str] = pods.CONTAINER
    """The container whose log is the endpoint's."""
    metrics: ClassVar[tuple[int, str]] = (pods.PORT, "/metrics")
    """The port of a pod, and the path, where it tells what it has measured."""
    capabilities: ClassVar[Any] = {
        "canary": "native", "promote": "native", "logs": "native", "replicas": "native", "autoscaling": "native",
    }  # fmt: skip

    # What a tool says

    @abstractmethod
    def piece(self, endpoint: EndpointPlan, revision: str) -> Document:
        """The part of the tool's objects that serves one version; it is kept, and put into them when it is promoted.

        Args:
            revision: the ConfigMap that holds the endpoint's plan.

        Raises:
            TurnoutError: when the endpoint cannot be served so.
        """

    @abstractmethod
    def parts(self, name: str, release: Release, revisions: Mapping[str, Revision]) -> Iterator[Part]:
        """The tool's objects, in the order in which they are applied.

        Args:
            name: the endpoint's name on the cluster.
        """

    @abstractmethod
    def state(self, main: Document, name: str) -> State:
        """How far the tool has brought what the main object asks for, and where it answers."""

    @abstractmethod
    def ask(self, name: str, url: str, plan: EndpointPlan, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """The predictions for rows, asked of the endpoint at its URL.

        Raises:
            DeployError: when it refuses them.
        """

    def notes(self, endpoint: EndpointPlan) -> tuple[str, ...]:
        """What a person should know of an endpoint's deployment."""
        return ()

    def files(self, endpoint: EndpointPlan) -> dict[str, bytes]:
        """Further files of an export."""
        return {}

    def watched(self, name: str, release: Release) -> dict[str, dict[str, str]]:
        """The services by which Prometheus finds the endpoint's pods, and the labels of the pods of each."""
        return {f"{name}-metrics": {LABEL: name}}

    # What follows from it

    @cached_property
    def cluster(self) -> Cluster:
        """The cluster."""
        config = self.config
        return Cluster(config.namespace, config.kubeconfig, config.context, self.extra, force=config.force)

    def options_for(self, endpoint: EndpointPlan) -> Any:
        """The options of an endpoint's pods.

        Raises:
            ConfigError, DeployError: for what cannot be meant, or where there is no image.
        """
        return pods.options_for(endpoint, self.config, self.name, self.options)

    def cluster_name(self, endpoint: EndpointPlan) -> str:
        """What the cluster calls an endpoint."""
        return versions.cluster_name(endpoint.name)

    def release(self, main: Document) -> Release | None:
        """The release of a main object; None where it was not turnout that made it."""
        try:
            return msgspec.json.decode(main["metadata"].get("annotations", {}).get(RELEASE, ""), type=Release)
        except msgspec.MsgspecError:
            return None

    def endpoint_pods(self, name: str, revisions: set[str]) -> tuple[Document, ...]:
        """The pods that serve an endpoint: those of these revisions, or all where none is named."""
        return tuple(pod for pod in self.cluster.pods(name) if not revisions or pods.revision(pod) in revisions)

    def labels(self, name: str) -> dict[str, str]:
        """The labels of all objects of an endpoint."""
        return {"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": MANAGER, LABEL: name}

    def head(self, kind: Kind, object_name: str, name: str, annotations: Mapping[str, str] | None = None) -> Document:
        """The beginning of an object of the endpoint that the cluster calls *name*."""
        return kind.head(object_name, self.config.namespace, self.labels(name), annotations or {})

    def annotations(self, release: Release, revisions: Mapping[str, Revision]) -> dict[str, str]:
        """What the main object says of the release."""
        return {NAME: revisions[release.live.revision].plan.name, RELEASE: encode(release).decode()}

    def compile(self, endpoint: EndpointPlan) -> Bundle:
        return self.recompile(endpoint, {})

    def recompile(self, endpoint: EndpointPlan, exported: Mapping[str, bytes], share: float = 1.0) -> Bundle:
        revision = self._revised(endpoint)
        release, revisions = release_after(revision, exported, self.main, share, mirror=self.mirrors)
        written = bundle_files(endpoint.name, self._all_parts(release, revisions))
        notes, name = self.notes(endpoint), cluster_name(endpoint.name)
        if name != endpoint.name:
            notes = (f"the cluster calls the endpoint {endpoint.name} {name}: Kubernetes takes no other name", *notes)
        return Bundle(files={**written, **self.files(endpoint)}, entrypoint=KUSTOMIZATION, notes=notes)

    def deploy(
        self, endpoint: EndpointPlan, bundle: Bundle, store: ArtifactStore[Any], *, share: float = 1.0
    ) -> EndpointStatus:
        part = percent(share)
        revision = self._revised(endpoint)
        check_secrets(endpoint, self.config, self.options_for(endpoint), self.cluster)
        for key, data in self.stored(endpoint).items():
            store.create(key, data)
        name = cluster_name(endpoint.name)

        def change(release: Release | None) -> Release:
            if part == 100:
                return versions.first(revision) if release is None else release.deployed(revision)
            if release is None or release.live.version == endpoint.digest:
                what = "has no live version" if release is None else "is that version already"
                raise DeployError(f"the endpoint {endpoint.name} {what}", fix="deploy it without --share")
            return release.with_canary(revision, part, mirror=self.mirrors)

        return self._change(name, endpoint.name, change, {revision.name: revision})

    def promote(self, name: str) -> EndpointStatus:
        def change(release: Release | None) -> Release:
            release = self._present(release, name)
            if release.canary is None:
                raise DeployError(
                    f"the endpoint {name} has no canary", fix="deploy one: turnout deploy ENDPOINT --share 0.1"
                )
            return release.promoted()

        return self._change(cluster_name(name), name, change, {})

    def rollback(self, name: str) -> EndpointStatus:
        def change(release: Release | None) -> Release:
            release = self._present(release, name)
            if release.canary is not None:
                return release.rolled_back(None)
            if not release.before:
                raise DeployError(
                    f"the endpoint {name} has no version before this one", fix="deploy the version that is meant"
                )
            return release.rolled_back(self._revision(release.before[-1]))

        return self._change(cluster_name(name), name, change, {})

    def status(self, name: str) -> EndpointStatus:
        found = self.cluster.get(self.main, cluster_name(name))
        return EndpointStatus(name=name, state="absent") if found is None else self._status(found)

    def list(self) -> tuple[EndpointStatus, ...]:
        found = self.cluster.list(self.main, f"{MANAGED},{LABEL}")
        stated = (self._status(one) for one in found if self.release(one) is not None)
        return tuple(sorted(stated, key=lambda one: one.name))

    def predict(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        main = self.cluster.get(self.main, cluster_name(name))
        release = None if main is None else self.release(main)
        if main is None or release is None:
            raise DeployError(f"the endpoint {name} is absent", fix="deploy it: turnout deploy ENDPOINT")
        state = self.state(main, cluster_name(name))
        if not state.url:
            raise DeployError(
                f"the endpoint {name} has no URL yet",
                why=state.message or f"it is {state.phase}",
                fix="wait until it is ready: turnout endpoints show; or name the gateway, deployer: {gateway: URL}",
            )
        return self.ask(name, state.url, self._revision(release.live.revision).plan, rows)

    def logs(self, name: str, *, follow: bool = False) -> Iterator[str]:
        if self.status(name).state == "absent":
            raise DeployError(f"there is no endpoint {name}", fix="deploy it: turnout deploy ENDPOINT")
        told: dict[str, int] = {}
        while True:
            for pod in self.endpoint_pods(cluster_name(name), set()):
                one = pod["metadata"]["name"]
                lines = list(self.cluster.log(one, self.container))
                yield from (f"{one}: {line}" for line in lines[told.get(one, 0) :])
                told[one] = len(lines)
            if not follow or self.status(name).state == "absent":
                return
            time.sleep(self.config.poll)

    def delete(self, name: str) -> None:
        self._prune(cluster_name(name), set())

    def _revised(self, endpoint: EndpointPlan) -> Revision:
        return versions.revise(endpoint, lambda name: plain(self.piece(endpoint, name)))

    def _all_parts(self, release: Release, revisions: Mapping[str, Revision]) -> Iterator[Part]:
        """All objects of an endpoint, in the order in which they are applied."""
        name = cluster_name(revisions[release.live.revision].plan.name)
        for revision in release.revisions:
            found = revisions[revision]
            yield Part(
                kind=CONFIG_MAP,
                document={**self.head(CONFIG_MAP, revision, name), "immutable": True, "data": found.data},
                file=f"{revision}.yaml",
                comment=f"Version {found.plan.digest[:12]} of the endpoint {found.plan.name}: its plan, for pods.",
            )
        yield from self.parts(name, release, revisions)
        settings = self.config.monitoring
        if settings is not None:
            watched = self.watched(name, release)
            yield from monitoring.parts(
                settings, self.config.namespace, name, self.labels(name), watched, *self.metrics
            )

    def _present(self, release: Release | None, name: str) -> Release:
        if release is None:
            raise DeployError(f"there is no endpoint {name}", fix="deploy it: turnout deploy ENDPOINT")
        return release

    def _revision(self, name: str) -> Revision:
        found = self.cluster.get(CONFIG_MAP, name)
        if found is None:
            raise DeployError(
                f"the version {name} is not on the cluster any more", fix="deploy the version that is meant"
            )
        return Revision.read(name, found.get("data", {}))

    def _change(self, name: str, endpoint: str, change: Any, known: dict[str, Revision]) -> EndpointStatus:
        """Read what is served, change it, apply it, wait until it is ready; anew where someone else was faster."""
        for tries in range(1, _TRIES + 1):
            main = self.cluster.get(self.main, name)
            before = None if main is None else self.release(main)
            if main is not None and before is None:
                raise DeployError(
                    f"the cluster has a {self.main.kind} {name} that turnout has not made",
                    fix="remove it, choose another namespace, or give the endpoint another name",
                )
            if main is not None and (other := main["metadata"]["annotations"].get(NAME)) != endpoint:
                raise DeployError(
                    f"the endpoints {endpoint} and {other} would have one name on the cluster: {name}",
                    fix="give one of them another name: @endpoint(…, name=…); or another namespace",
                )
            release: Release = change(before)
            wanted = {one: known.get(one) or self._revision(one) for one in release.revisions}
            try:
                self._apply(release, wanted, main)
                break
            except Conflict:
                if tries == _TRIES:
                    raise
        try:
            status = self._status(settled(self, name, endpoint, release))
        except DeployError as error:
            if before is None:
                raise
            with contextlib.suppress(DeployError):  # what is wrong with the new version is what is told
                kept = {one: known.get(one) or self._revision(one) for one in before.revisions}
                self._apply(before, kept, self.cluster.get(self.main, name))
                self._prune(name, self._names(before, kept))
            raise DeployError(
                error.what, where=error.where, why=error.why, fix=f"{error.fix}; the version before goes on answering"
            ) from None
        self._prune(name, self._names(release, wanted))
        return status

    def _apply(self, release: Release, revisions: Mapping[str, Revision], main: Document | None) -> None:
        for part in self._all_parts(release, revisions):
            document = plain(part.document)
            if part.kind == self.main and main is not None and document["metadata"]["name"] == main["metadata"]["name"]:
                document["metadata"]["resourceVersion"] = main["metadata"]["resourceVersion"]
            self.cluster.apply(document, part.kind)

    def _names(self, release: Release, revisions: Mapping[str, Revision]) -> set[tuple[Kind, str]]:
        return {(part.kind, part.document["metadata"]["name"]) for part in self._all_parts(release, revisions)}

    def _prune(self, name: str, wanted: set[tuple[Kind, str]]) -> None:
        """Remove the endpoint's objects that are not wanted; with the last endpoint that was watched, the rules."""
        unwatched = False
        for kind in (*self.kinds, *monitoring.KINDS, CONFIG_MAP):
            for found in self.cluster.list(kind, f"{LABEL}={name}"):
                if (kind, found["metadata"]["name"]) not in wanted:
                    self.cluster.delete(kind, found["metadata"]["name"])
                    unwatched |= kind == SERVICE_MONITOR
        settings = self.config.monitoring
        ours = settings is None or settings.rules
        if unwatched and ours and not self.cluster.list(SERVICE_MONITOR, MANAGED):
            self.cluster.delete(PROMETHEUS_RULE, monitoring.RULES)

    def _status(self, main: Document) -> EndpointStatus:
        metadata = main["metadata"]
        release = self.release(main)
        state = self.state(main, metadata["name"])
        return EndpointStatus(
            name=metadata.get("annotations", {}).get(NAME, metadata["name"]),
            state=state.phase,
            url=state.url,
            versions=tuple(
                VersionStatus(version=one.version, share=one.share / 100) for one in (release.served if release else ())
            ),
            message=state.message,
        )
