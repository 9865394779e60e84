"""Values to artifacts and back: what a step returns is saved once, what it takes is read anew each time."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from turnout.artifacts import blobs, outputs, small
from turnout.artifacts import errors as artifact_errors
from turnout.artifacts.blobs import Blobs, short
from turnout.artifacts.pieces import pieces
from turnout.base import canonical
from turnout.base.errors import ArtifactError, PlanError, PluginError
from turnout.base.redaction import Redactor, refusal
from turnout.components.artifact_store import ArtifactStore
from turnout.components.materializer import Materializer, Unfit
from turnout.files import File, Folder
from turnout.materializers import plain, private, uses
from turnout.materializers.choice import AUTO, Materializers
from turnout.materializers.classes import name_of, names_of
from turnout.materializers.own import Own
from turnout.materializers.paths import FILE, FOLDER, suffix_of, temporary
from turnout.materializers.pickled import Executed
from turnout.materializers.pickles import holds_pickle, stopped_by
from turnout.materializers.sameness import same
from turnout.materializers.structured import CONTENT
from turnout.materializers.table import TABLES
from turnout.model.plan import OutputPlan
from turnout.model.records import Artifact, FileEntry, Manifest, OutputRecord, Profile
from turnout.model.types import ANY, TypeName

PROFILED = 20
"""How many elements of a list output have their profiles on record, the first ones."""
_CONTENT = {"file": FILE, "folder": FOLDER}
ContentKind = Literal["file", "folder"]


class Artifacts:
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
        self.allow = allow
        self.blobs = Blobs(store, work)
        self.materializers = materializers
        self.work = work
        self._redactor = Redactor() if redactor is None else redactor

    # Saving

    def save(self, value: Any, output: OutputPlan) -> OutputRecord:
        """Save what a step returned for one of its outputs; of a collection, each element.

        Raises:
            ArtifactError: when the value is not of the declared type, or cannot be saved; ``__cause__`` is the
                exception of a project's own materializer.
            ConfigError: when its files would hold a secret. (Of a value that lives in the record its reader tells.)
        """
        declared = output.type
        if not declared.collection or (value is None and declared.optional):
            artifact, needed = self._save(value, output, output.name)
            return OutputRecord(artifact=artifact, uses=needed)
        if not isinstance(value, (list, tuple)):
            raise ArtifactError(
                f"output {output.name!r} is of type {type(value).__qualname__}, but {declared.text} is declared",
                why="each element of a list output is an artifact of its own",
                fix="return a list",
            )
        each = msgspec.structs.replace(output, type=msgspec.structs.replace(declared, optional=declared.nullable))
        saved = [self._save(item, each, f"{output.name}[{n}]") for n, item in enumerate(value)]
        elements = tuple(one if n < PROFILED else unprofiled(one) for n, (one, _) in enumerate(saved))
        unknown = any(one.marked and needed is None for one, needed in saved)
        found = {used for _, needed in saved for used in needed or ()}
        told = () if any(one.marked for one in elements) else None
        return OutputRecord(elements=elements, uses=None if unknown else tuple(sorted(found)) or told)

    def save_value(self, value: Any, name: str = "value") -> Artifact:
        """Save a value of any type; *name* is what messages call it."""
        return self._save(value, OutputPlan(name=name, type=ANY), name)[0]

    def save_path(self, path: Path, kind: ContentKind, suffix: str = "") -> Artifact:
        """Save the content of a file or folder, as for a parameter. Nothing is copied when the store has it already.

        Args:
            suffix: the suffix a file is kept with where its own name has none.

        Raises:
            ArtifactError: when there is no such file or folder.
        """
        known = path_artifact(path, kind, suffix)
        self.blobs.claim(known.digest)
        if self._is_whole(known):
            return known
        with self.blobs.staging() as folder:
            self._write(path, self.materializers.named(kind), folder, str(path))
            if kind == "file":
                (written,) = folder.iterdir()
                written.rename(folder / _neutral(path.name, suffix))
            return blobs.reference(self.blobs.write(folder, kind, known.type), pickled=False)

    def _is_whole(self, artifact: Artifact) -> bool:
        try:
            self.verify(artifact)
        except ArtifactError:
            return False
        return True

    def _save(self, value: Any, output: OutputPlan, name: str) -> tuple[Artifact, tuple[str, ...] | None]:
        """Save a value; return its artifact and what it uses, as :class:`OutputRecord` tells it."""
        outputs.check(value, output.type, name)
        try:
            with temporary(self.work):
                return self._saved(value, output, name)
        except Unfit as error:
            what = f"output {name!r} cannot be saved: {error.what}"
            raise ArtifactError(what, why=error.why, fix=error.fix) from None

    def _saved(self, value: Any, output: OutputPlan, name: str) -> tuple[Artifact, tuple[str, ...] | None]:
        """The artifact and what it uses, by the first materializer that can keep the value.

        Raises:
            Unfit: when none can, as the last one says.
        """
        candidates = self._candidates(value, output)
        first = next(candidates)
        kind = _CONTENT.get(first.name) or name_of(type(value))
        what = f"output {name!r}"
        if first.name in small.MATERIALIZERS and (
            packed := artifact_errors.told(what, lambda: small.pack(value, kind, first.name))
        ):
            return packed, _used_inline(packed)
        reason: Unfit | None = None
        for materializer in itertools.chain([first], candidates):
            with self.blobs.staging() as folder:
                try:
                    profile = self._write(value, materializer, folder, what)
                except Unfit as error:
                    reason = error
                    continue
                if self._redactor and self._redactor.finds_in(pieces(folder)):
                    raise refusal("the step", what)
                pickled = materializer.pickled or (isinstance(materializer, Own) and holds_pickle(folder))
                named = pickled or materializer.name in small.MATERIALIZERS
                needed = uses.in_files(folder) if named else None
                manifest = self.blobs.write(folder, materializer.name, kind)
            found = blobs.reference(manifest, pickled)
            if isinstance(profile, Profile):
                found = msgspec.structs.replace(found, profile=profile)
            return found, needed if pickled else needed or None
        assert reason is not None
        raise reason

    def _candidates(self, value: Any, output: OutputPlan) -> Iterator[Materializer]:
        if value is None or output.materializer == AUTO:
            yield from self.materializers.candidates(value)
            return
        planned = self.materializers.named(output.materializer)
        if isinstance(planned, Own) or output.type.name in (FILE, FOLDER):
            yield planned
            return
        if any(name in planned.types for name in names_of(type(value))):
            yield planned
        yield from (other for other in self.materializers.candidates(value) if other is not planned)

    @staticmethod
    def _write(value: Any, materializer: Materializer, folder: Path, what: str) -> Profile | None:
        """Let a materializer write; whatever goes wrong is told of the value it was about.

        Raises:
            Unfit: as the materializer does.
        """
        try:
            return artifact_errors.told(what, lambda: materializer.save(value, folder))
        except (ArtifactError, PluginError):
            raise
        except Exception as error:
            if isinstance(materializer, Own):
                raise artifact_errors.unsaved(what, materializer, error) from error
            if isinstance(error, OSError):
                raise ArtifactError(
                    f"{what} cannot be written: {error.strerror or error}",
                    fix="see that the disk has room and may be written",
                ) from error
            raise Unfit(f"{materializer.name} cannot keep it: {type(error).__name__}: {error}") from None

    # Reading

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
        if manifest.materializer in _CONTENT or wanted.name in (FILE, FOLDER):
            return self._content(manifest, "input")
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
        return self._content(self._manifest(artifact), name)

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

    def _content(self, manifest: Manifest, name: str) -> File | Folder:
        """A copy of the artifact's file, or of its folder, that the step may do with as it likes."""
        if manifest.materializer == "folder":
            return Folder(self._replace(manifest, name))
        if len(manifest.files) != 1:
            raise ArtifactError(
                f"the artifact {short(manifest.digest)} cannot be handed on as a file",
                why=f"it is a {manifest.type} of {len(manifest.files)} files",
                fix="declare the type of the value instead of File",
            )
        entry = manifest.files[0]
        own = suffix_of(entry.path)
        named = name.partition(".")[0] + own if own else name
        target = self._made(self.work / "inputs" / manifest.digest[:12]) / named
        partial = target.with_name(f".{named}.partial")
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
        target = self._made(self.work / "inputs" / manifest.digest[:12]) / name
        if os.path.lexists(target):
            shutil.rmtree(target)
        return self.blobs.copy(manifest, target)

    @staticmethod
    def _made(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def path_artifact(path: Path, kind: ContentKind, suffix: str = "") -> Artifact:
    """The artifact that :meth:`Artifacts.save_path` makes of a file or folder; nothing is stored.

    Raises:
        ArtifactError: when there is no such file or folder.
    """
    if not (path.is_dir() if kind == "folder" else path.is_file()):
        raise ArtifactError(f"there is no {kind} {path}", fix="correct the path")
    if kind == "folder":
        found = tuple(blobs.entries(path, follow=True))
    else:
        digest, size = canonical.digest_file(path)
        found = (FileEntry(path=_neutral(path.name, suffix), sha256=digest, size=size),)
    return blobs.reference(Manifest(materializer=kind, type=_CONTENT[kind], files=found), pickled=False)


def _used_inline(artifact: Artifact) -> tuple[str, ...] | None:
    if artifact.type.startswith("builtins:") and not isinstance(artifact.value, (list, dict)):
        return None
    return uses.in_text(canonical.encode([artifact.type, artifact.value])) or None


def unprofiled(artifact: Artifact) -> Artifact:
    """The artifact without its profile."""
    return artifact if artifact.profile is None else msgspec.structs.replace(artifact, profile=None)


def _neutral(name: str, suffix: str) -> str:
    return f"file{suffix_of(name) or suffix_of(f'file{suffix}')}"


def _asked(materializer: Materializer, wanted: TypeName, saved: str) -> TypeName:
    """The wanted type where the materializer can give it, else the type that was saved."""
    if any(name in materializer.reads for name in (wanted.name, *wanted.bases)):
        return wanted
    return TypeName(name=saved, text=saved)
