"""Artifacts to values: what a step takes is read anew each time, and verified."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from turnout.artifacts import blobs, small
from turnout.artifacts import errors as artifact_errors
from turnout.artifacts.blobs import short
from turnout.artifacts.saving import CONTENT_TYPES, INPUTS, Saver
from turnout.base import canonical
from turnout.base.errors import ArtifactError, PlanError, PluginError
from turnout.base.redaction import Redactor
from turnout.components.artifact_store import ArtifactStore
from turnout.components.materializer import Materializer
from turnout.files import File, Folder
from turnout.materializers import plain, private
from turnout.materializers.choice import Materializers
from turnout.materializers.classes import name_of
from turnout.materializers.own import Own
from turnout.materializers.paths import FILE, FOLDER, is_name, suffix_of
from turnout.materializers.pickled import Executed
from turnout.materializers.pickles import stopped_by
from turnout.materializers.sameness import same
from turnout.materializers.structured import CONTENT
from turnout.materializers.table import TABLES
from turnout.model.records import Artifact, Manifest, OutputRecord
from turnout.model.types import ANY, TypeName


class Artifacts(Saver):
    """The artifacts of one store, as one process reads and writes them.

    Args:
        work: a folder of this process's own, for the files that steps see and what is fetched; its owner removes it.
        redactor: knows the secrets that no value may hold.
        allow: asked before an artifact is read; raises where it may not be.
    """

    def __init__(
        self,
        store: ArtifactStore[Any],
        materializers: Materializers,
        work: Path,
        redactor: Redactor | None = None,
        allow: Callable[[Artifact], None] | None = None,
    ) -> None:
        super().__init__(store, materializers, work, redactor)
        self.allow = allow
        self.kept: Path | None = None
        """Where files that are loaded stay, by their own names; None: as for a step, by neutral ones, for a time."""

    def load(self, artifact: Artifact, wanted: TypeName = ANY) -> Any:
        """Read a value, verified and made anew: no change to it reaches the store or another reader.

        Args:
            wanted: the type a step asks for; any library's table is read as any other's.

        Raises:
            ArtifactError: when the artifact is gone, damaged or refused, or cannot be read here.
            PlanError: when a policy does not allow that it is read.
        """
        if self.allow is not None:
            self.allow(artifact)
        if artifact.inline:
            return small.unpack(artifact)
        manifest = self._manifest(artifact)
        if manifest.materializer in CONTENT_TYPES or wanted.name in (FILE, FOLDER):
            return self._content(manifest, artifact.name if self.kept and is_name(artifact.name) else "")
        materializer = self.materializers.named(manifest.materializer)
        if materializer.pickled and not artifact.marked:
            raise ArtifactError(
                f"the artifact {short(artifact.digest)} is refused: it is a pickle, and its record does not say so",
                why="reading a pickle runs what it says",
            )
        asked = _asked(materializer, wanted, manifest.type)
        try:
            if isinstance(materializer, Executed) and manifest.names(materializer.file):
                value = self._executed(manifest, materializer)
            else:
                with self._readable(manifest, materializer) as folder, self._watched(artifact, materializer):
                    value = materializer.load(folder, asked)
        except (ArtifactError, PlanError, PluginError):
            raise
        except Exception as error:
            raise artifact_errors.unread(artifact, error) from error
        if wanted.name in TABLES and asked.name != wanted.name and name_of(type(value)) in TABLES:
            raise ArtifactError(
                f"the artifact {short(artifact.digest)} cannot be read as {wanted.text}",
                why=f"it is a {name_of(type(value))} with values that only a pickle could keep",
                fix="give its columns one type each, or take the type that was saved",
            )
        return value

    def _executed(self, manifest: Manifest, materializer: Executed) -> Any:
        """A value that is executed when it is read: from memory of this process, where it was checked."""
        with private.room(manifest.size, self._made(self.work)) as stream:
            with self.blobs.checked(manifest, materializer.file) as reader:
                copy = private.copied(reader, manifest.size, stream)
            return materializer.read(copy)

    def _watched(self, artifact: Artifact, materializer: Materializer) -> AbstractContextManager[None]:
        """Where a project's own materializer reads a pickle that nobody knew of, it is asked whether that may be."""
        if self.allow is None or not isinstance(materializer, Own):
            return nullcontext()
        return stopped_by(partial(self.allow, msgspec.structs.replace(artifact, marked=True)))

    def load_output(self, record: OutputRecord, wanted: TypeName = ANY) -> Any:
        """Read an output: its value, or the list of its elements; *wanted* is then the type of each."""
        if record.elements is None:
            return None if record.artifact is None else self.load(record.artifact, wanted)
        each = wanted if wanted.collection else ANY
        return [self.load(element, each) for element in record.elements]

    def load_json(self, record: OutputRecord) -> Any:
        """Read an output as plain JSON for a guard: numpy's numbers are numbers, a tuple is a list."""
        return plain.simplify(self.load_output(record))

    def find(self, digest: str) -> Artifact:
        """The artifact of a digest, as its manifest describes it: without the profile that its record has.

        Raises:
            ArtifactError: when it is not in the store, or its manifest is damaged.
        """
        manifest = self.blobs.manifest(digest)
        return blobs.reference(manifest, self.materializers.named(manifest.materializer).pickled)

    def materialise_file(self, artifact: Artifact, name: str = "input") -> File | Folder:
        """A private copy of a file or folder under a neutral name: ``<work>/inputs/<digest>/input.parquet``.

        Raises:
            ArtifactError: when the artifact is gone or damaged, or is of several files that are no folder.
        """
        return self._content(self._manifest(artifact), "", neutral=name)

    def local_folder(self, artifact: Artifact) -> Path:
        """A folder with the artifact's files, verified, to be read and not changed; an inline value is ``value.json``.

        Raises:
            ArtifactError: when the artifact is gone or damaged.
        """
        if not artifact.inline:
            return self.blobs.folder(self._manifest(artifact))
        small.check(artifact)
        folder = self._made(self.work / "inline" / artifact.digest)
        (folder / "value.json").write_bytes(canonical.pretty(artifact.value))
        return folder

    def copy_to(self, artifact: Artifact, target: Path) -> None:
        """Copy the artifact's files, verified, into the new folder *target*.

        Raises:
            ArtifactError: when the artifact is gone or damaged.
        """
        if artifact.inline:
            shutil.copytree(self.local_folder(artifact), target)
        else:
            self.blobs.copy(self._manifest(artifact), target)

    def verify(self, artifact: Artifact) -> None:
        """Check that the artifact exists and is whole.

        In a local store all content is read (once, while it does not change); in another the manifest is, and
        the sizes of the files: their content is verified when it is fetched.

        Raises:
            ArtifactError: when it is gone or damaged.
        """
        if artifact.inline:
            small.check(artifact)
        else:
            self.blobs.verify(self._manifest(artifact))

    def discard(self, artifact: Artifact) -> None:
        """Delete a damaged artifact's files, so that the step that makes it can save it again."""
        if not artifact.inline:
            self.blobs.discard(artifact.digest)

    def equal(self, left: Artifact, right: Artifact) -> bool:
        """Whether two artifacts are the same for the user: by digest, else by their materializer's comparator."""
        return self.equal_to(left, self, right)

    def equal_to(self, left: Artifact, others: Artifacts, right: Artifact, work: Path | None = None) -> bool:
        """As :meth:`equal`, with an artifact that lies in another store."""
        if left.digest == right.digest:
            return True
        for artifacts, artifact in ((self, left), (others, right)):
            if artifacts.allow is not None:
                artifacts.allow(artifact)
        if left.inline or right.inline or left.materializer != right.materializer:
            return left.type == right.type and same(self.load(left), others.load(right))
        one, other = self._manifest(left), others._manifest(right)
        if one.type != other.type:
            return False
        with tempfile.TemporaryDirectory(dir=work or self._made(self.work)) as folder:
            materializer = self.materializers.named(one.materializer)
            first = self.blobs.copy(one, Path(folder) / "left")
            second = others.blobs.copy(other, Path(folder) / "right")
            with self._watched(left, materializer):
                return materializer.equal(first, second)

    def _manifest(self, artifact: Artifact) -> Manifest:
        manifest = self.blobs.manifest(artifact.digest)
        if (manifest.materializer, manifest.type) != (artifact.materializer, artifact.type):
            raise ArtifactError(
                f"the artifact {short(artifact.digest)} is refused: its record says {artifact.materializer} of "
                f"{artifact.type}, its manifest {manifest.materializer} of {manifest.type}",
                why="the record was changed after it was written",
            )
        return manifest

    def _content(self, manifest: Manifest, name: str, *, neutral: str = "input") -> File | Folder:
        """A copy of the artifact's file, or of its folder, that whoever gets it may do with as they like.

        Args:
            name: its own name; else it has the *neutral* one, with its suffix.
        """
        if manifest.materializer == "folder":
            return Folder(self._replace(manifest, name or neutral))
        if len(manifest.files) != 1:
            raise ArtifactError(
                f"the artifact {short(manifest.digest)} cannot be handed on as a file",
                why=f"it is a {manifest.type} of {len(manifest.files)} files",
                fix="declare the type of the value instead of File",
            )
        entry = manifest.files[0]
        own = suffix_of(entry.path)
        named = name or (neutral.partition(".")[0] + own if own else neutral)
        target = self._place(manifest) / named
        partial = target.with_name(f".{os.getpid()}.partial")
        shutil.copyfile(self.blobs.folder(manifest) / entry.path, partial)
        partial.replace(target)
        return File(target)

    @contextmanager
    def _readable(self, manifest: Manifest, materializer: Materializer) -> Iterator[Path]:
        """A folder with the artifact's files, verified, for a materializer.

        One that executes what it reads, or may do so, gets a copy: what was checked is what it reads. So does one
        whose value has files in it: the step may do with them as it likes.
        """
        keeps = isinstance(materializer, Own) or any(entry.path.startswith(f"{CONTENT}/") for entry in manifest.files)
        if not (keeps or materializer.pickled):
            yield self.blobs.folder(manifest)
            return
        folder = self._replace(manifest, "files")
        try:
            yield folder
        finally:
            if not keeps:
                shutil.rmtree(folder)

    def _replace(self, manifest: Manifest, name: str) -> Path:
        target = self._place(manifest) / name
        if os.path.lexists(target):
            shutil.rmtree(target)
        return self.blobs.copy(manifest, target)

    def _place(self, manifest: Manifest) -> Path:
        """The folder that files of an artifact are copied to."""
        if self.kept is not None:
            with suppress(OSError):  # where the project cannot be written to, they last as long as this process
                return self._made(self.kept / manifest.digest[:12])
        return self._made(self.work / INPUTS / manifest.digest[:12])

    @staticmethod
    def _made(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _asked(materializer: Materializer, wanted: TypeName, saved: str) -> TypeName:
    """The wanted type where the materializer can give it, else the type that was saved."""
    if any(name in materializer.reads for name in (wanted.name, *wanted.bases)):
        return wanted
    return TypeName(name=saved, text=saved)


def copy_artifact(source: Artifacts, target: Artifacts, artifact: Artifact) -> None:
    """Copy an artifact to another store, verified on both sides; what is there already is not written again."""
    if artifact.inline:
        return
    manifest = source.blobs.manifest(artifact.digest)
    with target.blobs.staging() as staging:
        folder = source.blobs.copy(manifest, staging / "files")
        target.blobs.write(folder, manifest.materializer, manifest.type)
    target.verify(artifact)
