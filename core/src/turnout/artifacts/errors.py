"""What is said when a value cannot be saved, or an artifact cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from turnout.artifacts.blobs import short
from turnout.base.errors import ArtifactError
from turnout.components.materializer import Materializer, Unfit
from turnout.model.records import Artifact

T = TypeVar("T")


def told(what: str, action: Callable[[], T]) -> T:
    """Do something; an error about a part of a value names what the value is to be saved as."""
    try:
        return action()
    except Unfit:
        raise
    except ArtifactError as error:
        text = f"{what}{'' if error.what.startswith(('[', '.')) else ': '}{error.what}"
        raise ArtifactError(text, why=error.why, fix=error.fix) from error.__cause__


def unsaved(what: str, materializer: Materializer, error: Exception) -> ArtifactError:
    """The error where a project's own materializer raised."""
    return ArtifactError(
        f"{what} cannot be saved by the materializer {materializer.name}: {type(error).__name__}: {error}"
    )


def unread(artifact: Artifact, error: Exception) -> ArtifactError:
    """The error where a materializer raised while it read."""
    if isinstance(error, ImportError):
        why = "what it needs is neither installed nor in this project"
        fix = "call it in the folder of its project, or install the package; for a step, add it to its requirements"
    else:
        why = f"{type(error).__name__} in {artifact.materializer}"
        fix = "read it with the versions that wrote it, or run the step that made it again"
    what = f"the artifact {short(artifact.digest)}, a {artifact.type}, cannot be read here: {error}"
    return ArtifactError(what, why=why, fix=fix)
