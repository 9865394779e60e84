"""What the running interpreter has installed: versions, requirements, and where each came from."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections import deque
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from turnout.project import git, sources

if TYPE_CHECKING:
    from packaging.requirements import Requirement

Origin = Literal["index", "editable", "folder", "archive", "vcs"]
_HEADER = re.compile(r"\n(name|version|requires-dist):(.*)", re.IGNORECASE)
_SEPARATORS = re.compile(r"[-_.]+")


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """An installed distribution. ``name`` is normalised; ``requires`` are its requirements as it states them.

    ``origin`` says where it came from: a package index, a folder (linked to where ``editable``), an archive or a
    version control system by URL. Whatever is not from an index has its ``url``, and its installed files in ``record``.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    origin: Origin = "index"
    url: str = ""
    record: str = ""

    @property
    def pin(self) -> str:
        """``name==version``."""
        return f"{self.name}=={self.version}"

    @property
    def folder(self) -> Path | None:
        """The folder on this machine that it was installed from, where there is one."""
        return _path_of(self.url) if self.origin in {"editable", "folder"} else None

    @property
    def content(self) -> str:
        """A digest of its content: of the folder's files where editable, else of the files that were installed."""
        if self.origin == "editable" and self.folder is not None:
            return folder_digest(self.folder)
        lines = sorted(line for line in self.record.splitlines() if "sha256=" in line and ".dist-info/" not in line)
        return hashlib.sha256("\n".join([self.version, *lines]).encode()).hexdigest()


def is_own(name: str) -> bool:
    """Whether a normalised name is turnout's or a plugin's: these are never among the pins."""
    return name == "turnout" or name.startswith("turnout-")


def distributions() -> dict[str, Distribution]:
    """All distributions of the running interpreter by name; of several with one name, the one that is imported."""
    return _scan(tuple((entry, _modified(entry)) for entry in sys.path))


def closure(requirements: Iterable[str]) -> dict[str, Distribution] | None:
    """The installed distributions that *requirements* need, directly or not; None where one is absent or unfit.

    turnout and its plugins are passed over, with what only they need.

    Raises:
        packaging.requirements.InvalidRequirement: when a requirement cannot be read.
    """
    from packaging.requirements import Requirement

    have = distributions()
    found: dict[str, Distribution] = {}
    todo: deque[tuple[Requirement, frozenset[str]]] = deque((Requirement(line), frozenset()) for line in requirements)
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        requirement, extras = todo.popleft()
        name = normalised(requirement.name)
        if is_own(name) or not applies(requirement, extras):
            continue
        distribution = have.get(name)
        if distribution is None or not satisfies(distribution, requirement):
            return None
        found[name] = distribution
        wanted = frozenset(requirement.extras)
        if (name, wanted) not in seen:
            seen.add((name, wanted))
            todo.extend((Requirement(line), wanted) for line in distribution.requires)
    return found


def applies(requirement: Requirement, extras: Iterable[str] = ()) -> bool:
    """Whether a requirement's marker holds for the running interpreter, with any of *extras* asked for."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def satisfies(distribution: Distribution, requirement: Requirement) -> bool:
    """Whether an installed distribution is what a requirement asks for."""
    if requirement.url is not None:
        return distribution.origin != "index"
    return requirement.specifier.contains(distribution.version, prereleases=True)


def top_level(found: dict[str, Distribution]) -> tuple[str, ...]:
    """The names among *found* that no other of them requires, sorted."""
    from packaging.requirements import InvalidRequirement, Requirement

    needed: set[str] = set()
    for distribution in found.values():
        for line in distribution.requires:
            try:
                requirement = Requirement(line)
            except InvalidRequirement:
                continue
            if applies(requirement) and normalised(requirement.name) != distribution.name:
                needed.add(normalised(requirement.name))
    return tuple(sorted(found.keys() - needed))


def normalised(name: str) -> str:
    """A distribution's name as package indexes compare it, by the rule of PEP 503."""
    return _SEPARATORS.sub("-", name).lower()


def folder_digest(folder: Path) -> str:
    """A digest of a folder's own files: as git sees them, or all of them where it does not."""
    listing = git.files(folder)
    paths = sorted(sources.walk(folder) if listing is None else {*listing.tracked, *listing.untracked})
    hasher = hashlib.sha256()
    for path in paths:
        file = folder / path
        if file.is_file():
            hasher.update(f"{os.fsencode(path).hex()} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return hasher.hexdigest()


def _modified(entry: str) -> int:
    try:
        return Path(entry or ".").stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=4)
def _scan(_path: tuple[tuple[str, int], ...]) -> dict[str, Distribution]:
    import importlib.metadata  # late: a worker rarely asks

    found: dict[str, Distribution] = {}
    for distribution in importlib.metadata.distributions():
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        headers = _headers(text)
        name = normalised(headers.get("name", [""])[0])
        if not name or name in found or "version" not in headers:
            continue
        origin, url = _origin(distribution.read_text("direct_url.json"))
        found[name] = Distribution(
            name=name,
            version=headers["version"][0],
            requires=tuple(headers.get("requires-dist", ())),
            origin=origin,
            url=url,
            record="" if origin in {"index", "editable"} else distribution.read_text("RECORD") or "",
        )
    return found


def _headers(text: str) -> dict[str, list[str]]:
    """The headers of a metadata file that matter here; the email package reads them ten times slower."""
    found: dict[str, list[str]] = {}
    for key, value in _HEADER.findall("\n" + text.partition("\n\n")[0]):  # the project's description follows
        found.setdefault(key.lower(), []).append(value.strip())
    return found


def _origin(text: str | None) -> tuple[Origin, str]:
    if not text:
        return "index", ""
    try:
        document = json.loads(text)
    except ValueError:
        return "index", ""
    url = str(document.get("url", ""))
    if "vcs_info" in document:
        return "vcs", url
    if "dir_info" in document:
        folder = _path_of(url)
        if folder is None or not folder.is_dir():
            return "index", ""  # built elsewhere, as conda's are: its name and version are what there is
        return ("editable" if document["dir_info"].get("editable") else "folder"), url
    return "archive", url


def _path_of(url: str) -> Path | None:
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    if os.name == "nt":
        from urllib.request import url2pathname

        return Path(url2pathname(parts.path))
    return Path(unquote(parts.path))
