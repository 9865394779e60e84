"""Artifacts as files in the store: written once under their digest, verified whenever they are read."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from turnout.base import canonical
from turnout.base.canonical import DigestReader
from turnout.base.errors import ArtifactError
from turnout.components.artifact_store import ArtifactStore
from turnout.materializers.paths import walk
from turnout.model.records import Artifact, FileEntry, Manifest
from turnout.stores import claims, layout

KEPT = 4 << 30
"""How many bytes fetched from a store that is not local are kept at most for the next step of this process."""
LARGE = 1 << 20
"""The size in bytes from which on a file that this process has just written is not read again before it changes."""
_GONE = "run the step that made it again: `turnout runs invalidate RUN STEP`, then `turnout runs resume RUN`"
_REMEMBERED = 100_000
Stamp = tuple[int, int, int, int, int]

_decoder = msgspec.json.Decoder(Manifest)


class Blobs:
    """The files of artifacts in one store, as one process sees them.

    Args:
        work: a folder of this process's own, for what is fetched; removed by its owner.
    """

    def __init__(self, store: ArtifactStore[Any], work: Path) -> None:
        self.store = store
        self.work = work
        self.verified: dict[str, tuple[Stamp, str]] = {}
        """Each file that was found whole, what would have changed with it, and its digest."""
        self.fetched: OrderedDict[str, int] = OrderedDict()
        """The size of each artifact in the work folder, that used last at the end."""

    def recall(self, verified: Mapping[str, tuple[Stamp, str]], fetched: Mapping[str, int]) -> None:
        """Take over what another process found, which works in the same folder."""
        self.verified.update(verified)
        self.fetched = OrderedDict(fetched)

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """An empty folder from which files go to the store without another copy, where that is possible."""
        parent = self.store.staging() or self.work / "staging"
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="artifact-", dir=parent))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def write(self, folder: Path, materializer: str, kind: str) -> Manifest:
        """Put the files of a folder into the store: blobs first, the manifest last. The folder is used up by it.

        A blob that is there already is kept if it is whole, and made again if it is damaged.

        Raises:
            ArtifactError: for a file with a name no store can hold, or when the store refuses.
        """
        manifest = Manifest(materializer=materializer, type=kind, files=tuple(entries(folder)))
        digest = manifest.digest
        present = self._present(digest)
        for entry in _files(manifest):
            key = layout.blob(digest, entry.path)
            if key in present:
                if self._whole(key, entry, present[key]):
                    continue
                self.store.delete(key)
            made = self.store.create_from(key, folder / entry.path)
            if made and entry.size >= LARGE and (place := self.store.local_path(key)) is not None:
                self._remember(place, _stamp(place.stat()), entry)
        key, data = layout.manifest(digest), canonical.encode(manifest)
        if key in present and self.store.read(key) != data:
            self.store.delete(key)
        self.store.create(key, data)
        return manifest

    def _present(self, digest: str) -> dict[str, int]:
        """The sizes of an artifact's objects that are there, and that nobody removes before they are named."""
        found = list(self.store.list(layout.artifact(digest)))
        if claims.claim_old(self.store, digest, found):
            found = list(self.store.list(layout.artifact(digest)))
        return {entry.key: entry.size for entry in found}

    def claim(self, digest: str) -> None:
        """Keep an artifact that may be in the store already from being removed before something names it."""
        self._present(digest)

    def _whole(self, key: str, entry: FileEntry, size: int) -> bool:
        """Whether a blob is what it should be: by its content where that is near, else by its size."""
        path = self.store.local_path(key)
        return size == entry.size and (path is None or self._matches(path, entry))

    def manifest(self, digest: str) -> Manifest:
        """The manifest of an artifact, verified.

        Raises:
            ArtifactError: when it is gone or damaged, or names a file outside of the artifact.
        """
        data = self.store.read(layout.manifest(digest))
        if data is None:
            raise ArtifactError(
                f"the artifact {short(digest)} is not in the store {self.store.address}",
                why="it was removed, or belongs to another store",
                fix=_GONE,
            )
        if canonical.digest(data) != digest:
            raise self._damaged(digest, "manifest.json", "its content is not what its digest says")
        try:
            manifest = _decoder.decode(data)
        except msgspec.MsgspecError as error:
            raise self._damaged(digest, "manifest.json", str(error)) from error
        for entry in manifest.files:
            if reason := _problem(entry.path):
                raise ArtifactError(
                    f"the artifact {short(digest)} is refused: it names the file {entry.path!r}", why=reason
                )
        return manifest

    def folder(self, manifest: Manifest) -> Path:
        """A folder with the artifact's files, verified, to be read and never to be changed.

        Raises:
            ArtifactError: when a file is gone or damaged.
        """
        folder = self._near(manifest)
        for entry in _files(manifest):
            self._check(manifest.digest, folder / entry.path, entry)
        return folder

    def copy(self, manifest: Manifest, target: Path) -> Path:
        """Copy an artifact's files and empty folders into a new folder *target*, where they may be changed.

        What is checked is what the copy holds, whoever changes the artifact meanwhile.

        Raises:
            ArtifactError: when a file is gone or damaged.
        """
        folder = self._near(manifest)
        target.mkdir(parents=True)
        for entry in manifest.files:
            path = target / entry.path
            if entry.path.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
                continue
            self._made(path.parent)
            try:
                copied = canonical.copy_file(folder / entry.path, path)
            except FileNotFoundError:
                raise self._damaged(manifest.digest, entry.path, "it is gone") from None
            if copied != (entry.sha256, entry.size):
                raise self._changed(manifest.digest, entry, copied[1])
        return target

    @contextlib.contextmanager
    def checked(self, manifest: Manifest, path: str) -> Iterator[DigestReader]:
        """One of an artifact's files, to be read to its end. Only when the block has ended may what was read be used.

        Raises:
            ArtifactError: at the end of the block, when the file is gone or damaged, or there is none of that name.
        """
        entry = next((entry for entry in manifest.files if entry.path == path), None)
        if entry is None:
            raise self._damaged(manifest.digest, path, "it names no such file")
        try:
            stream = (self._near(manifest) / path).open("rb")
        except FileNotFoundError:
            raise self._damaged(manifest.digest, path, "it is gone") from None
        with stream:
            reader = DigestReader(stream)
            with contextlib.suppress(EOFError):
                yield reader
        if (reader.digest, reader.size) != (entry.sha256, entry.size):
            raise self._changed(manifest.digest, entry, reader.size)

    def _near(self, manifest: Manifest) -> Path:
        """The folder on this machine with the artifact's files, fetched where they are not; not verified yet."""
        digest, files = manifest.digest, _files(manifest)
        if not files:
            return self._made(self.work / "empty")
        places = [self.store.local_path(layout.blob(digest, entry.path)) for entry in files]
        if places[0] is None:
            return self._fetch(manifest, digest)
        for place, entry in zip(places, files, strict=True):
            if place is None:
                raise self._damaged(digest, entry.path, "it is gone")
        return places[0].parents[files[0].path.count("/")]

    def verify(self, manifest: Manifest) -> None:
        """Check that all files are there and whole: by their content in a local store, by their size in another.

        Raises:
            ArtifactError: when a file is gone or damaged.
        """
        digest, files = manifest.digest, _files(manifest)
        if not files or self.store.local_path(layout.blob(digest, files[0].path)) is not None:
            self.folder(manifest)
            return
        present = {entry.key: entry.size for entry in self.store.list(layout.artifact(digest))}
        for entry in files:
            size = present.get(layout.blob(digest, entry.path))
            if size != entry.size:
                why = "it is gone" if size is None else f"it has {size} bytes instead of {entry.size}"
                raise self._damaged(digest, entry.path, why)

    def discard(self, digest: str) -> None:
        """Delete an artifact's manifest and files, so that it can be made again."""
        self.store.delete(layout.manifest(digest))
        for entry in list(self.store.list(layout.artifact(digest))):
            self.store.delete(entry.key)

    def _fetch(self, manifest: Manifest, digest: str) -> Path:
        target = self.work / "fetched" / digest
        if digest in self.fetched:
            self.fetched.move_to_end(digest)
        else:
            self._forget(KEPT - manifest.size)
            shutil.rmtree(target, ignore_errors=True)
            for entry in _files(manifest):
                path = target / entry.path
                self._made(path.parent)
                if not self.store.fetch(layout.blob(digest, entry.path), path):
                    raise self._damaged(digest, entry.path, "it is gone")
        self.fetched[digest] = manifest.size
        return target

    def _forget(self, size: int) -> None:
        """Remove what was fetched longest ago until *size* bytes are left at most. What is mapped stays readable."""
        while self.fetched and sum(self.fetched.values()) > size:
            digest, _ = self.fetched.popitem(last=False)
            shutil.rmtree(self.work / "fetched" / digest, ignore_errors=True)

    def _check(self, digest: str, path: Path, entry: FileEntry) -> None:
        try:
            if self._matches(path, entry):
                return
            size = path.stat().st_size
        except FileNotFoundError:
            raise self._damaged(digest, entry.path, "it is gone") from None
        raise self._changed(digest, entry, size)

    def _changed(self, digest: str, entry: FileEntry, size: int) -> ArtifactError:
        self.fetched.pop(digest, None)
        why = "its content has changed" if size == entry.size else f"it has {size} bytes instead of {entry.size}"
        return self._damaged(digest, entry.path, why)

    def _remember(self, path: Path, stamp: Stamp, entry: FileEntry) -> None:
        """Note that a file is whole as long as it has this stamp."""
        if len(self.verified) >= _REMEMBERED:
            self.verified.clear()
        self.verified[os.fspath(path)] = (stamp, entry.sha256)

    def _matches(self, path: Path, entry: FileEntry) -> bool:
        """Whether a file has the recorded size and SHA-256; one found so is read again only if it has changed since."""
        status = path.stat()
        stamp = _stamp(status)
        if self.verified.get(os.fspath(path)) == (stamp, entry.sha256):
            return True
        if status.st_size != entry.size or canonical.digest_file(path)[0] != entry.sha256:
            return False
        self._remember(path, stamp, entry)
        return True

    def _damaged(self, digest: str, path: str, why: str) -> ArtifactError:
        return ArtifactError(
            f"the artifact {short(digest)} is damaged: {path} in the store {self.store.address}", why=why, fix=_GONE
        )

    @staticmethod
    def _made(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _stamp(status: os.stat_result) -> Stamp:
    """What changes when a file does."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def short(digest: str) -> str:
    """A digest as messages show it."""
    return digest[:12]


def reference(manifest: Manifest, pickled: bool) -> Artifact:
    """The artifact that a manifest describes."""
    return Artifact(
        digest=manifest.digest,
        materializer=manifest.materializer,
        type=manifest.type,
        size=manifest.size,
        marked=pickled,
    )


def entries(folder: Path, *, follow: bool = False) -> Iterator[FileEntry]:
    """What lies in a folder, in order of the paths; an empty folder is an entry of no bytes that ends with a slash.

    Args:
        follow: whether links stand for what they lead to; else they are refused.

    Raises:
        ArtifactError: for a name that no store can hold, and for what is neither a file nor a folder.
    """
    for path, place in walk(folder, follow=follow):
        if reason := _problem(path):
            raise ArtifactError(f"the file {path!r} cannot be kept", why=reason, fix="give it another name")
        if path.endswith("/"):
            yield FileEntry(path=path, sha256=canonical.digest(b""), size=0)
        else:
            digest, size = canonical.digest_file(place)
            yield FileEntry(path=path, sha256=digest, size=size)


def _files(manifest: Manifest) -> list[FileEntry]:
    return [entry for entry in manifest.files if not entry.path.endswith("/")]


def _problem(path: str) -> str | None:
    """Why a path in a manifest is refused, or None."""
    parts = path.removesuffix("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "the path would leave the artifact's folder"
    if "\\" in path or "\0" in path:
        return "its name holds a backslash or a null byte"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    return None
