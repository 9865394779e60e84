"""An export in a folder, in which others lie, too: where its files go, what differs there, and what they replace."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from turnout.base.errors import ConfigError
from turnout.project import written
from turnout.project.written import FILES, Entry
from turnout.runtime.bundle import ENVIRONMENT


def owner(project: str, name: str, tool: str, instance: str = "") -> Entry:
    """Whose files an export has: those of a pipeline for its orchestrator, or of an endpoint for its deployer."""
    return Entry(files=(), project=project, pipeline=name, orchestrator=tool, instance=instance)


def own_folder(folder: Path, owner: Entry) -> Path:
    """The folder of an export's own within *folder*, where another one has names that it needs."""
    return folder / re.sub(r"[^A-Za-z0-9_.-]", "_", ".".join(owner.owner))


def earlier(folder: Path, owner: Entry) -> dict[str, bytes]:
    """The files of the earlier export of the same, as they are now; none where there is none."""
    for place in (own_folder(folder, owner), folder):
        for entry in written.read(place):
            if entry.owner == owner.owner:
                contents = ((name, _content(place / name)) for name in entry.files)
                return {name: content for name, content in contents if content is not None}
    return {}


class Export:
    """The files of an export, in *folder*, or where another export has such names for itself, in one of its own.

    What an export may replace and remove, its marker names: files that it wrote itself before.

    Raises:
        ConfigError: when a file is in the way that no export wrote, or the marker cannot be read.
    """

    def __init__(self, folder: Path, owner: Entry, files: Mapping[str, bytes]) -> None:
        self._own = msgspec.structs.replace(owner, files=tuple(sorted(files)))
        apart = own_folder(folder, self._own)
        self.folder = apart if written.read(apart) or self._collides(folder, files) else folder
        entries = written.read(self.folder)
        others = tuple(entry for entry in entries if entry.owner != self._own.owner)
        earlier = {name for entry in entries if entry.owner == self._own.owner for name in entry.files}
        older = _older(self.folder) if not entries else set()
        earlier |= older
        of_others = {name for entry in others for name in entry.files}
        self._gone = earlier.difference(files, of_others)
        self._files = {**files, FILES: written.marker([*others, self._own])}
        self._between = written.marker(
            [*others, msgspec.structs.replace(self._own, files=tuple(sorted(earlier | {*files})))]
        )
        if not older:
            self._refuse_strangers(earlier | of_others)

    def _collides(self, folder: Path, files: Mapping[str, bytes]) -> bool:
        """Whether another export has a file of such a name with other content; one stack's exports share a store."""
        for entry in written.read(folder):
            if entry.owner == self._own.owner:
                continue
            for name in files.keys() & set(entry.files):
                if (
                    not (name == ENVIRONMENT and entry.stack == self._own.stack)
                    and _content(folder / name) != files[name]
                ):
                    return True
        return False

    def _refuse_strangers(self, expected: set[str]) -> None:
        for name, data in self._files.items():
            found = _content(self.folder / name)
            if name not in expected and name != FILES and found not in (None, data):
                raise ConfigError(
                    f"{self.folder / name} is there already, and no export wrote it",
                    why=f"what exports wrote, {FILES} beside it names",
                    fix="remove it, or export into another folder",
                )

    @property
    def differing(self) -> dict[str, str]:
        """What would have to change in the folder: each path, and what is the matter with it."""
        differences = {}
        for name, data in self._files.items():
            content = _content(self.folder / name)
            if content != data:
                differences[name] = "missing" if content is None else "differs"
        differences.update({name: "of an earlier export" for name in self._gone if (self.folder / name).is_file()})
        return differences

    def write(self) -> None:
        """Write what differs, and remove what an earlier export of the same wrote; the marker names all of it first."""
        differing = self.differing
        if not differing:
            return
        _write(self.folder / FILES, self._between)
        for name in sorted(differing.keys() - {FILES}):
            path = self.folder / name
            if name in self._files:
                _write(path, self._files[name])
                continue
            path.unlink(missing_ok=True)
            while path.parent != self.folder and not any(path.parent.iterdir()):
                path = path.parent
                path.rmdir()
        _write(self.folder / FILES, self._files[FILES])


def _older(folder: Path) -> set[str]:
    """The plans and code packages, by their digests, of an export of turnout 0.1, which left no marker."""
    if not (folder / ENVIRONMENT).is_file():
        return set()
    paths = (
        path.relative_to(folder).as_posix() for pattern in ("plans/*", "code/*/*") for path in folder.glob(pattern)
    )
    return {path for path in paths if re.fullmatch(r"plans/[0-9a-f]{64}\.json|code/[0-9a-f]{64}/code\.zip", path)}


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    partial.write_bytes(data)
    partial.replace(path)
