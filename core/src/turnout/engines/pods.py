"""What a stack says of the pods that an engine runs steps in: Kubernetes' own terms, checked where they stand."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from turnout.components.base import Config

_NAME = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
_KEY = r"([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?"
Variable = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)")]
"""The name of an environment variable."""
ResourceName = Annotated[str, Meta(pattern=rf"^{_NAME}$(?!\n)")]
"""The name of a resource of Kubernetes."""
KeyOf = Annotated[str, Meta(pattern=rf"^{_NAME}/[A-Za-z0-9._-]+$(?!\n)")]
"""A key of a Secret or a ConfigMap: ``NAME/KEY``."""
Claim = Annotated[str, Meta(pattern=rf"^{_NAME}(/[^/:][^:]*)?$(?!\n)")]
"""A claim of a volume, and a folder in it where not all of it is meant: ``CLAIM/FOLDER``."""
ImagePullPolicy = Annotated[
    Literal["", "Always", "IfNotPresent", "Never"], Meta(description="When the image is pulled.")
]
ImagePullSecrets = Annotated[tuple[ResourceName, ...], Meta(description="Secrets with the registry's password.")]
MountPath = Annotated[str, Meta(pattern=r"^/[^:]*$(?!\n)")]
Labels = dict[
    Annotated[str, Meta(pattern=rf"^{_KEY}$(?!\n)")],
    Annotated[str, Meta(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$(?!\n)", max_length=63)],
]


class Toleration(Config, frozen=True, omit_defaults=True):
    """A node taint to tolerate."""

    key: Annotated[str, Meta(description="The taint's key; empty for all.")] = ""
    operator: Annotated[Literal["Equal", "Exists"], Meta(description="How the value is compared.")] = "Equal"
    value: Annotated[str, Meta(description="The taint's value.")] = ""
    effect: Annotated[
        Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"],
        Meta(description="The taint's effect; any if empty."),
    ] = ""
    seconds: Annotated[Annotated[int, Meta(ge=0)] | None, Meta(description="For how long, with NoExecute.")] = None

    @property
    def fields(self) -> dict[str, Any]:
        """What is said, by Kubernetes' names; not ``seconds``, for which its clients have names of their own."""
        named = {"key": self.key, "operator": self.operator, "value": self.value, "effect": self.effect}
        return {name: value for name, value in named.items() if value}


class PodOptions(Config, frozen=True, omit_defaults=True):
    """What may be different from step to step; mappings are merged, lists are added."""

    node_selector: Annotated[Labels, Meta(description="Labels that the nodes must have.")] = msgspec.field(
        default_factory=dict
    )
    tolerations: Annotated[tuple[Toleration, ...], Meta(description="Node taints to tolerate.")] = ()
    labels: Annotated[Labels, Meta(description="Labels of the pods.")] = msgspec.field(default_factory=dict)
    annotations: Annotated[dict[str, str], Meta(description="Annotations of the pods.")] = msgspec.field(
        default_factory=dict
    )
    secret_environment: Annotated[
        dict[Variable, KeyOf],
        Meta(description="Variables whose values are in Secrets of the namespace: VARIABLE: SECRET/KEY."),
    ] = msgspec.field(default_factory=dict)
    volumes: Annotated[
        dict[MountPath, Claim], Meta(description="Volumes by their claims: PATH: CLAIM, or CLAIM/FOLDER.")
    ] = msgspec.field(default_factory=dict)
