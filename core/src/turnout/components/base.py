"""What all components share: a config struct, a name, and how each is told apart."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Generic, TypeVar

import msgspec


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every component's settings: frozen, unknown fields forbidden.

    Describe each field by ``Annotated[type, msgspec.Meta(description="…")]``; the descriptions make the
    reference and ``turnout stack schema``.
    """


class SettingError(ValueError):
    """A setting has a value that its type allows and the component does not; raised by a config's ``__post_init__``.

    Args:
        what: what is wrong, as a clause.
        path: which setting, and where in it: ``"views", "weather", "ttl"``. The message points to its line.
        fix: what to write instead.
    """

    def __init__(self, what: str, *path: str, fix: str | None = None) -> None:
        super().__init__(what)
        self.path = path
        self.fix = fix


Secret = Annotated[str, msgspec.Meta(extra={"secret": True})]
"""Annotate a setting that holds a credential with this alias: a stack takes a reference for it, never the value."""

LocalPath = Annotated[str, msgspec.Meta(extra={"local_path": True})]
"""Annotate a path on the caller's machine with this alias: a relative one then starts at the project's root.

For the components that act where a pipeline is submitted (orchestrator, artifact store, deployer); a URL stays
as it is.
"""

WorkerPath = Annotated[str, msgspec.Meta(extra={"worker_path": True})]
"""Annotate a path of files that live on beside runs, and that workers share, with this alias.

A relative one starts at the project's root where the work is done on this machine, and is refused elsewhere.
"""

ExistingPath = Annotated[str, msgspec.Meta(extra={"exists": True})]
"""Annotate the path of a file or folder that has to be there before a stack is used, and is made by nobody."""

ExistingLocalPath = Annotated[LocalPath, msgspec.Meta(extra={"exists": True})]
"""Likewise of one on the caller's machine, as :data:`LocalPath` is."""

Url = Annotated[str, msgspec.Meta(extra={"address": "url"})]
"""Annotate a server's URL, ``http://…`` or ``https://…``, with this alias: what is none is refused with its line, and
``turnout stack check`` sees whether anything answers there."""

Uri = Annotated[str, msgspec.Meta(extra={"address": "uri"})]
"""Likewise where other kinds of addresses will do as well: only an ``http`` one is looked at."""

HostPort = Annotated[str, msgspec.Meta(extra={"address": "host:port"})]
"""Likewise for ``HOST:PORT``."""

ConfigT = TypeVar("ConfigT", bound=Config)


class Component(Generic[ConfigT]):
    """The base of all components.

    A subclass sets ``name`` (the ``type`` in a stack file) and ``Config``. Its constructor does nothing but
    keep the config: no connection, no import of the tool.
    """

    name: ClassVar[str]
    Config: ClassVar[type[Any]] = Config
    needed_extra: ClassVar[str] = ""
    """The extra of its distribution that brings what the component needs where it works; by default one of its name."""

    def __init__(self, config: ConfigT) -> None:
        self.config = config
