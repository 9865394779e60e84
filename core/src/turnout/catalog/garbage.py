"""Collecting garbage: runs that are to go are removed, and content that nothing names any more.

Whatever moment it is killed at, nothing that is named is gone: a run loses its cache entries first, then ``run.json``,
by which it is a run, then the rest. What its records named is noted before, and kept for the grace period: a step that
took over a result of the run a moment ago is still to be committed. What is left by a kill goes with the next call.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from turnout.base import canonical
from turnout.catalog.liveness import Content, Holdings, Live, holdings, mark, settings
from turnout.components.artifact_store import ArtifactStore, Entry
from turnout.model.records import RunInfo
from turnout.runtime.cache import Pointer
from turnout.runtime.state import newest_mark
from turnout.stores import claims, layout

CHANGES_KEPT = 90 * 86_400.0
"""Seconds for which marks of changed runs are kept; longer than any index relies on them."""
_WORKERS = 16


class Freed(msgspec.Struct):
    """How many of a kind were removed, and their bytes."""

    count: int = 0
    bytes: int = 0

    def add(self, entries: Iterable[Entry]) -> None:
        """Count one more."""
        self.count += 1
        self.bytes += sum(entry.size for entry in entries)


class Collected(msgspec.Struct, kw_only=True):
    """What was removed, or would be: the ids of runs; by kind (``runs``, ``artifacts``, ``code``, ``plans``, ``cache``,
    ``marks``) how much; and what a later call will remove, when the grace period of the removed runs is over."""

    runs: list[str] = []
    freed: dict[str, Freed] = {}
    later: Freed = msgspec.field(default_factory=Freed)

    def add(self, kind: str, entries: Iterable[Entry]) -> None:
        """Count one more of a kind."""
        self.freed.setdefault(kind, Freed()).add(entries)


class Collection:
    """One call: the store as it was listed, what is live in it, and what is to go.

    Args:
        removing: the runs, as project and id, that are to be removed. One that an alias names (or named last), that a
            run in progress takes results from, or that is in progress itself is kept all the same.
        grace: seconds for which what was written, claimed or removed counts as in use.
        now: the time, in Unix seconds.
    """

    def __init__(
        self, store: ArtifactStore[Any], removing: Iterable[tuple[str, str]], *, grace: float, now: float | None = None
    ) -> None:
        self.store = store
        self.grace = grace
        self.now = time.time() if now is None else now
        self.found: Holdings = holdings(store)
        self._promoted: set[tuple[str, str]] = set()
        counting: list[Entry] = []
        for project, entries, made in settings(store, self.found):
            counting.extend(entries)
            self._promoted.update((project, alias.run.id) for alias in made)
        self.removing = self._removable(set(removing)) | self._remains()
        copies = [entry for run, entry in self._copies() if run in self._promoted]
        self.live: Live = mark(store, self.found, self.removing, copies, counting, now=self.now, grace=grace)

    def _is_old(self, entries: Iterable[Entry]) -> bool:
        return all(self.now - entry.modified >= self.grace for entry in entries)

    def _removable(self, wanted: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """The runs that may go."""
        open_runs = {run for run, entries in self.found.runs.items() if not _has_ended(self.store, run, entries)}
        going = (wanted & self.found.runs.keys()) - self._promoted
        going -= {run for run in open_runs if not self._is_old(self.found.runs[run])}
        pending = open_runs - going
        while pending:
            project, run = pending.pop()
            info = self._info(project, run)
            source = (project, info.options.reuse.run) if info is not None and info.options.reuse is not None else None
            if source in going:
                going.discard(source)
                pending |= {source} & open_runs
        return going

    def _info(self, project: str, run: str) -> RunInfo | None:
        data = self.store.read(layout.run(project, run))
        try:
            return None if data is None else _INFO.decode(data)
        except canonical.UNREADABLE:
            return None

    def _remains(self) -> set[tuple[str, str]]:
        """What is left of runs whose removal was cut short."""
        return {
            (project, run)
            for (project, run), entries in self.found.runs.items()
            if layout.run(project, run) not in {entry.key for entry in entries} and self._is_old(entries)
        }

    def _copies(self) -> Iterator[tuple[tuple[str, str], Entry]]:
        """The objects of promoted runs that were copied here, by run."""
        for (project, part), entries in self.found.parts.items():
            for entry in entries if part == "promoted" else ():
                run = entry.key.removeprefix(layout.promoted(project, "")).partition("/")[0]
                yield (project, run), entry

    # What is to go

    def garbage(self) -> list[Content]:
        """Content that is not named and not new."""
        kept = self.live.named | (self.live.only_lost if self.grace > 0 else set())
        return [one for one in self.found.contents.values() if one.digest not in kept and self._is_old(one.entries)]

    def _pending(self) -> list[Content]:
        """Content that only runs name that are removed now."""
        lost = self.live.only_lost if self.grace > 0 else set()
        return [one for one in self.found.contents.values() if one.digest in lost]

    def _dead_entries(self) -> list[tuple[str, str, Entry]]:
        """Entries of the cache, each with its project and key, whose run is removed or gone."""
        dead = []
        for (project, part), entries in self.found.parts.items():
            for entry in entries if part == "cache" else ():
                key, _, name = entry.key.removeprefix(layout.cache(project, "")).partition("/")
                run = (project, name.partition(".")[0])
                if run in self.removing or (run not in self.found.runs and self._is_old([entry])):
                    dead.append((project, key, entry))
        return dead

    def _marks(self) -> list[Entry]:
        """Marks, notes, claims and copies that nothing needs any more."""
        old = [
            entry
            for (_, part), entries in self.found.parts.items()
            for entry in entries
            if (part == "changes" and self.now - entry.modified >= CHANGES_KEPT)
            or (part == "removed" and self._is_old([entry]))
        ]
        old += [entry for run, entry in self._copies() if run not in self._promoted and self._is_old([entry])]
        there = {digest for _, digest in self.found.contents}
        for digest, entries in self.found.claims.items():
            for entry in entries:
                needed = digest in there and entry.key == layout.condemned(digest)  # see claims.condemning
                if not needed and self._is_old([entry]) and not claims.holds(entry, self.now, self.grace):
                    old.append(entry)
        return old

    def preview(self) -> Collected:
        """What would be removed."""
        done = Collected(runs=sorted(run for _, run in self.removing))
        for run in self.removing:
            done.add("runs", self.found.runs[run])
        for _, _, entry in self._dead_entries():
            done.add("cache", [entry])
        for content in self.garbage():
            done.add(_KINDS[content.kind], content.entries)
        for entry in self._marks():
            done.add("marks", [entry])
        for content in self._pending():
            done.later.add(content.entries)
        return done

    def collect(self) -> Collected:
        """Remove it. May be called once, soon after the listing.

        Raises:
            ArtifactError: when the store fails; what is gone by then was garbage, and the next call does the rest.
        """
        done = Collected()
        if self.grace > 0:
            for project, digests in self.live.lost.items():
                runs = sorted(run for its, run in self.removing if its == project)
                note = canonical.encode({"runs": runs, "digests": sorted(digests)})
                self.store.create(layout.removed(project, uuid.uuid4().hex[:12]), note)
        self._pass_on()
        with ThreadPoolExecutor(_WORKERS) as pool:
            dead = self._dead_entries()
            _all(pool.map(self._delete, [[entry] for _, _, entry in dead]))
            for _, _, entry in dead:
                done.add("cache", [entry])
            going = sorted(self.removing)
            for run, entries in zip(going, pool.map(self._remove_run, going), strict=True):
                if entries:
                    done.runs.append(run[1])
                    done.add("runs", entries)
            garbage = self.garbage()
            for content, gone in zip(garbage, pool.map(self._remove_content, garbage), strict=True):
                if gone:
                    done.add(_KINDS[content.kind], content.entries)
            marks = self._marks()
            _all(pool.map(self._delete, [[entry] for entry in marks]))
            for entry in marks:
                done.add("marks", [entry])
        for content in self._pending():
            done.later.add(content.entries)
        return done

    def _pass_on(self) -> None:
        """Give cache entries of runs that go to a run that stays and has the same result. It is as old as it was."""
        for project, key, entry in self._dead_entries():
            heir = self.live.by_key.get((project, key))
            data = self.store.read(entry.key) if heir is not None else None
            if heir is None or data is None:
                continue
            try:
                ended = _POINTER.decode(data).ended
            except canonical.UNREADABLE:
                continue
            run, step, index = heir
            pointer = Pointer(run=run, step=step, index=index, ended=ended)
            self.store.create(layout.cache_entry(project, key, run, step, index), canonical.encode(pointer))

    def _remove_run(self, run: tuple[str, str]) -> list[Entry]:
        """Remove a run unless something has come to it since it was listed; return what was removed."""
        listed = self.found.runs[run]
        first = layout.run(*run)
        if {entry.key for entry in self.store.list(layout.run_folder(*run))} - {entry.key for entry in listed}:
            return []
        self._delete(sorted(listed, key=lambda entry: entry.key != first))
        return listed

    def _remove_content(self, content: Content) -> bool:
        """Remove content unless someone claims it; return whether it is gone."""
        first = {"artifact": layout.manifest, "code": layout.code, "plan": layout.plan}[content.kind](content.digest)
        with claims.condemning(self.store, content.digest, self.now, self.grace) as may_go:
            return may_go and self._delete(
                sorted(content.entries, key=lambda entry: entry.key != first), within=claims.HURRY
            )

    def _delete(self, entries: list[Entry], within: float = float("inf")) -> bool:
        """Delete objects in this order; stop after *within* seconds. Return whether all are gone."""
        ends = time.monotonic() + within
        for entry in entries:
            if time.monotonic() > ends:
                return False
            self.store.delete(entry.key)
        return True


_KINDS = {"artifact": "artifacts", "code": "code", "plan": "plans"}
_INFO = msgspec.json.Decoder(RunInfo)
_POINTER = msgspec.json.Decoder(Pointer)


def _has_ended(store: ArtifactStore[Any], run: tuple[str, str], entries: Iterable[Entry]) -> bool:
    return newest_mark(store, *run, [entry.key for entry in entries]).kind == "finish"


def _all(results: Iterator[Any]) -> None:
    """Wait for all, and raise the first error."""
    for _ in results:
        pass
