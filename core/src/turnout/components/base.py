"""What all components share: a config struct, a name, and how each is told apart."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Generic, TypeVar

import msgspec


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every component's settings: frozen, unknown fields forbidden.

    Describe each field by ``Annotated[type, msgspec.Meta(description="…")]``; the descriptions make the
    reference and ``turnout stack schema``.
    """


Secret = Annotated[str, msgspec.Meta(extra={"secret": True})]
"""Annotate a setting that holds a credential with this alias: a stack takes a reference for it, never the value."""

LocalPath = Annotated[str, msgspec.Meta(extra={"local_path": True})]
"""Annotate a path on the caller's machine with this alias: a relative one then starts at the project's root.

For the components that act where a pipeline is submitted (orchestrator, artifact store, deployer); a URL stays
as it is.
"""

ConfigT = TypeVar("ConfigT", bound=Config)


class Component(Generic[ConfigT]):
    """The base of all components.

    A subclass sets ``name`` (the ``type`` in a stack file) and ``Config``. Its constructor does nothing but
    keep the config: no connection, no import of the tool.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Any]] = Config

    def __init__(self, config: ConfigT) -> None:
        self.config = config
