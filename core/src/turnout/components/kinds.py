"""The kinds of components, each declared once: its hook, its section of a stack, and who makes its components."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import click

    from turnout.components.artifact_store import ArtifactStore
    from turnout.components.deployer import Deployer
    from turnout.components.feature_store import FeatureStore
    from turnout.components.materializer import Materializer
    from turnout.components.observer import Observer
    from turnout.components.orchestrator import Orchestrator
    from turnout.components.policy import Policy
    from turnout.components.secret_store import SecretStore
    from turnout.components.tracker import Tracker
    from turnout.model.plan import Component, Worker

T = TypeVar("T")


class Kind(str, Generic[T]):
    """A kind by its name; ``T`` is what the registry gives for a component of it: its class, or a click command.

    The contract of the kind ``artifact_store`` is ``turnout.components.artifact_store.ArtifactStore``.

    Args:
        section: the section of a stack that chooses a component of this kind; empty for kinds that are there
            wherever they are installed.
        many: whether the section is a list, of any number of components.
        default: the type that a stack has which leaves the section out; without one it is needed.
        on_worker: whether workers make it from the plan, in whose ``worker`` it is a field of the section's name;
            the others act where a pipeline is submitted.
        paths: how the settings' names end that say where it writes on this machine.
    """

    __slots__ = ("default", "many", "on_worker", "paths", "section")

    section: str
    many: bool
    default: str
    on_worker: bool
    paths: tuple[str, ...]

    def __new__(
        cls,
        name: str,
        *,
        section: str = "",
        many: bool = False,
        default: str = "",
        on_worker: bool = False,
        paths: tuple[str, ...] = (),
    ) -> Kind[T]:
        """Declare a kind."""
        kind = super().__new__(cls, name)
        kind.section, kind.many, kind.default, kind.on_worker, kind.paths = section, many, default, on_worker, paths
        return kind

    @property
    def hook(self) -> str:
        """The hook that collects its components."""
        return f"turnout_{self[:-1]}ies" if self.endswith("y") else f"turnout_{self}s"

    @property
    def base(self) -> type[Any] | None:
        """Its contract, imported now; None for commands, which are click's."""
        from importlib import import_module

        if self == COMMAND:
            return None
        base: type[Any] = getattr(import_module(f"turnout.components.{self}"), self.title().replace("_", ""))
        return base


ORCHESTRATOR: Kind[type[Orchestrator[Any]]] = Kind("orchestrator", section="orchestrator", paths=("",))
ARTIFACT_STORE: Kind[type[ArtifactStore[Any]]] = Kind("artifact_store", section="artifact_store", paths=("root",))
TRACKER: Kind[type[Tracker[Any]]] = Kind("tracker", section="tracker", default="none", on_worker=True, paths=("",))
FEATURE_STORE: Kind[type[FeatureStore[Any]]] = Kind(
    "feature_store", section="feature_store", default="none", on_worker=True
)
DEPLOYER: Kind[type[Deployer[Any]]] = Kind("deployer", section="deployer", default="none", paths=("folder",))
SECRET_STORE: Kind[type[SecretStore[Any]]] = Kind("secret_store", section="secrets", default="env", on_worker=True)
OBSERVER: Kind[type[Observer[Any]]] = Kind(
    "observer", section="observers", many=True, on_worker=True, paths=("path", "file")
)
POLICY: Kind[type[Policy[Any]]] = Kind("policy", section="policies", many=True, on_worker=True)
MATERIALIZER: Kind[type[Materializer]] = Kind("materializer")
COMMAND: Kind[click.Command] = Kind("command")
KINDS: tuple[Kind[Any], ...] = (
    ORCHESTRATOR,
    ARTIFACT_STORE,
    TRACKER,
    FEATURE_STORE,
    DEPLOYER,
    SECRET_STORE,
    OBSERVER,
    POLICY,
    MATERIALIZER,
    COMMAND,
)
"""All kinds, in the order of a stack's sections."""


def noun(kind: str) -> str:
    """A kind as messages name it: ``artifact store``."""
    return kind.replace("_", " ")


def of_worker(worker: Worker) -> Iterator[tuple[Kind[Any], Component]]:
    """The components that a plan's workers make, each with its kind."""
    for kind in KINDS:
        if kind.on_worker:
            chosen = getattr(worker, kind.section)
            yield from ((kind, component) for component in (chosen if kind.many else (chosen,)))
