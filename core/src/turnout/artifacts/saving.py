"""Values to artifacts: what a step returns is saved once, by the first materializer that can keep it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from turnout.artifacts import blobs, outputs, small
from turnout.artifacts import errors as artifact_errors
from turnout.artifacts.blobs import Blobs
from turnout.artifacts.pieces import pieces
from turnout.base import canonical
from turnout.base.errors import ArtifactError, PluginError
from turnout.base.redaction import Redactor, refusal
from turnout.components.artifact_store import ArtifactStore
from turnout.components.materializer import Materializer, Unfit
from turnout.materializers import uses
from turnout.materializers.choice import AUTO, Materializers
from turnout.materializers.classes import name_of, names_of
from turnout.materializers.own import Own
from turnout.materializers.paths import FILE, FOLDER, own_name, suffix_of, temporary
from turnout.materializers.pickles import holds_pickle
from turnout.model.plan import OutputPlan
from turnout.model.profile import Profile
from turnout.model.records import Artifact, FileEntry, Manifest, OutputRecord
from turnout.model.types import ANY

INPUTS = "inputs"
"""The folder within the work folder that files given to steps lie in."""
PROFILED = 20
"""How many elements of a list output have their profiles on record, the first ones."""
CONTENT_TYPES = {"file": FILE, "folder": FOLDER}
"""The types of what is kept as it is, by the names of their materializers."""
ContentKind = Literal["file", "folder"]


class Saver:
    """Saves values in a store.

    Args:
        work: a folder of this process's own for temporary files; its owner removes it.
        redactor: knows the secrets that no value may hold.
    """

    def __init__(
        self, store: ArtifactStore[Any], materializers: Materializers, work: Path, redactor: Redactor | None = None
    ) -> None:
        self.blobs = Blobs(store, work)
        self.materializers = materializers
        self.work = work
        self._redactor = Redactor() if redactor is None else redactor

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
        if self._has(known):
            return known
        with self.blobs.staging() as folder:
            self._write(path, self.materializers.named(kind), folder, str(path))
            if kind == "file":
                (written,) = folder.iterdir()
                written.rename(folder / _neutral(path.name, suffix))
            return blobs.reference(self.blobs.write(folder, kind, known.type), pickled=False)

    def is_input(self, path: str | os.PathLike[str]) -> bool:
        """Whether a file or folder lies where a step's inputs do, under a neutral name."""
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.work / INPUTS))

    def _has(self, artifact: Artifact) -> bool:
        try:
            manifest = self.blobs.manifest(artifact.digest)
            self.blobs.verify(manifest)
        except ArtifactError:
            return False
        return (manifest.materializer, manifest.type) == (artifact.materializer, artifact.type)

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
        kind = CONTENT_TYPES.get(first.name) or name_of(type(value))
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
            if first.name in CONTENT_TYPES and not self.is_input(value):
                found = msgspec.structs.replace(found, name=own_name(value))
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


def path_artifact(path: Path, kind: ContentKind, suffix: str = "") -> Artifact:
    """The artifact that :meth:`Saver.save_path` makes of a file or folder; nothing is stored.

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
    return blobs.reference(Manifest(materializer=kind, type=CONTENT_TYPES[kind], files=found), pickled=False)


def _used_inline(artifact: Artifact) -> tuple[str, ...] | None:
    if artifact.type.startswith("builtins:") and not isinstance(artifact.value, (list, dict)):
        return None
    return uses.in_text(canonical.encode([artifact.type, artifact.value])) or None


def unprofiled(artifact: Artifact) -> Artifact:
    """The artifact without its profile."""
    return artifact if artifact.profile is None else msgspec.structs.replace(artifact, profile=None)


def _neutral(name: str, suffix: str) -> str:
    return f"file{suffix_of(name) or suffix_of(f'file{suffix}')}"
