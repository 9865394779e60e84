"""What of a store is live: what a document that counts names by its digest, and what the plans named there name.

Whatever a document holds, each 64 hexadecimal digits in it keep what they are the digest of. So a kind of reference
that this turnout does not know is never taken for garbage. The documents that count are all of a project but its cache,
its marks, and what its aliases named long ago; and the list of what was given to engines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from turnout.base import canonical
from turnout.catalog import deployed
from turnout.components.artifact_store import ArtifactStore, Entry
from turnout.model.alias import Alias
from turnout.stores import layout
from turnout.stores.claims import holds

KEPT_SETTINGS = 2
"""How many settings of an alias are kept alive: what it names, and what it named before, so that it can be set back."""

_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_CONTENT = re.compile(
    r"(?:(?P<artifact>artifacts)|(?P<code>code)|(?P<claim>claims))/(?P<digest>[0-9a-f]{64})/"
    r"|(?P<plan>plans)/(?P<plan_digest>[0-9a-f]{64})\.json\Z"
)
_PARTS = ("cache", "changes", "aliases", "removed", "promoted")
_READERS = 16


class Content(msgspec.Struct):
    """Everything of one digest: an artifact, a code package or a plan."""

    kind: str
    digest: str
    entries: list[Entry] = []

    @property
    def size(self) -> int:
        """The bytes of all objects."""
        return sum(entry.size for entry in self.entries)

    @property
    def modified(self) -> float:
        """When the newest of them was written."""
        return max(entry.modified for entry in self.entries)


class Holdings(msgspec.Struct):
    """All that a store holds, in the groups that differ in what keeps them.

    ``runs`` are the objects of each run by project and run, with and without ``run.json``; ``parts`` those of a
    project's cache, changes, aliases, notes of removed runs and copies of promoted ones by project and part; ``roots``
    whatever else there is.
    """

    contents: dict[tuple[str, str], Content] = {}
    claims: dict[str, list[Entry]] = {}
    runs: dict[tuple[str, str], list[Entry]] = {}
    parts: dict[tuple[str, str], list[Entry]] = {}
    roots: list[Entry] = []


def holdings(store: ArtifactStore[Any]) -> Holdings:
    """List all of a store."""
    found = Holdings()
    for entry in store.list(""):
        content = _CONTENT.match(entry.key)
        if content is not None:
            digest = content["digest"] or content["plan_digest"]
            if content["claim"]:
                found.claims.setdefault(digest, []).append(entry)
            else:
                kind = next(name for name in ("artifact", "code", "plan") if content[name])
                found.contents.setdefault((kind, digest), Content(kind, digest)).entries.append(entry)
            continue
        project, _, rest = entry.key.partition("/")
        part, _, inner = rest.partition("/")
        if part == "runs" and "/" in inner:
            found.runs.setdefault((project, inner.partition("/")[0]), []).append(entry)
        elif part in _PARTS and inner:
            found.parts.setdefault((project, part), []).append(entry)
        else:
            found.roots.append(entry)
    found.roots = [*_live_versions(store, found.roots)]
    return found


def _live_versions(store: ArtifactStore[Any], entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries without those of versions of endpoints that nobody goes back to."""
    by_name: dict[str, list[tuple[int, Entry]]] = {}
    for entry in entries:
        folder, _, file = entry.key.rpartition("/")
        number = file.removesuffix(".json")
        if folder.split("/")[1:2] == ["endpoints"] and number.isdecimal():
            by_name.setdefault(folder, []).append((int(number), entry))
        else:
            yield entry
    for numbered in by_name.values():
        versions = [entry for _, entry in sorted(numbered, key=lambda version: version[0])]
        places = deployed.kept([deployed.read(store.read(entry.key)) for entry in versions])
        yield from (versions[place] for place in sorted(places))


class Live(msgspec.Struct):
    """What is named by a document that counts (``named``), what only runs that are to be removed name, by project
    (``lost``), and which kept record has a cache key (``by_key``: run, step, index)."""

    named: set[str] = set()
    lost: dict[str, set[str]] = {}
    by_key: dict[tuple[str, str], tuple[str, str, int | None]] = {}

    @property
    def only_lost(self) -> set[str]:
        """What nothing but runs that are to be removed names."""
        return {digest for digests in self.lost.values() for digest in digests} - self.named


def settings(store: ArtifactStore[Any], found: Holdings) -> Iterator[tuple[str, list[Entry], list[Alias]]]:
    """For each alias of each project that names something: the project, the objects of the settings that count, and
    these settings."""
    by_name: dict[tuple[str, str], list[tuple[int, Entry]]] = {}
    for (project, part), entries in found.parts.items():
        for entry in entries if part == "aliases" else ():
            name, _, number = entry.key.removeprefix(f"{layout.aliases(project)}/").partition("/")
            if number.removesuffix(".json").isdecimal():
                by_name.setdefault((project, name), []).append((int(number.removesuffix(".json")), entry))
    for (project, _), numbered in by_name.items():
        kept = [entry for _, entry in sorted(numbered, key=lambda one: one[0])[-KEPT_SETTINGS:]]
        made = [alias for entry in kept if (alias := _alias(store.read(entry.key))) is not None]
        if not (made and made[-1].removed):
            yield project, kept, made


def _alias(data: bytes | None) -> Alias | None:
    try:
        return None if data is None else _ALIAS.decode(data)
    except canonical.UNREADABLE:
        return None


def mark(
    store: ArtifactStore[Any],
    found: Holdings,
    removing: set[tuple[str, str]],
    copies: Iterable[Entry],
    aliases: Iterable[Entry],
    *,
    now: float,
    grace: float,
) -> Live:
    """Find what is live.

    Args:
        removing: the runs, by project, that are to be removed.
        copies: the objects of promoted runs that an alias needs.
        aliases: the settings of aliases that count.
        now: the time (Unix seconds) up to which what is younger than *grace* (seconds) counts as in use.
    """
    live = Live(named=set(), lost={}, by_key={})
    notes = [one for (_, part), entries in found.parts.items() if part == "removed" for one in entries]
    always = [*found.roots, *copies, *aliases, *(note for note in notes if now - note.modified < grace)]
    kept = [(run, entry) for run, entries in found.runs.items() if run not in removing for entry in entries]
    going = [(run, entry) for run in removing for entry in found.runs.get(run, ())]
    with ThreadPoolExecutor(_READERS) as pool:

        def read(entries: Iterable[Entry]) -> Iterator[bytes]:
            return (data or b"" for data in pool.map(lambda entry: store.read(entry.key), entries))

        for data in read(always):
            live.named |= named(data)
        for (run, entry), data in zip(kept, read([entry for _, entry in kept]), strict=True):
            live.named |= named(data)
            if entry.key.endswith("/record.json"):
                _remember_key(live, run[0], data)
        for (run, _), data in zip(going, read([entry for _, entry in going]), strict=True):
            live.lost.setdefault(run[0], set()).update(named(data))
        for digest, entries in found.claims.items():
            if any(holds(entry, now, grace) for entry in entries):
                live.named.add(digest)
        young = {one.digest for one in found.contents.values() if one.kind == "plan" and now - one.modified < grace}
        _follow_plans(found, live.named | young, live.named, read)
        for digests in live.lost.values():
            _follow_plans(found, digests - live.named, digests, read)
    return live


def named(data: bytes) -> set[str]:
    """Every digest in a document."""
    return {digest.decode() for digest in _DIGEST.findall(data)}


def _follow_plans(
    found: Holdings, plans: set[str], into: set[str], read: Callable[[Iterable[Entry]], Iterator[bytes]]
) -> None:
    """Add what plans name: their code, and the content of files among the defaults of their parameters."""
    known = [found.contents[("plan", digest)] for digest in plans if ("plan", digest) in found.contents]
    for data in read([plan.entries[0] for plan in known]):
        into |= named(data)


class _Keyed(msgspec.Struct):
    run: str = ""
    step: str = ""
    index: int | None = None
    state: str = ""
    sealed: bool = True
    cache_key: str = ""


_ALIAS = msgspec.json.Decoder(Alias)
_KEYED = msgspec.json.Decoder(_Keyed)


def _remember_key(live: Live, project: str, data: bytes) -> None:
    """Note whose record has a cache key, for when the run that the cache names is removed."""
    try:
        record = _KEYED.decode(data)
    except canonical.UNREADABLE:
        return
    if record.cache_key and record.sealed and record.state == "succeeded":
        live.by_key[project, record.cache_key] = (record.run, record.step, record.index)
