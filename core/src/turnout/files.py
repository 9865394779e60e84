"""Files and folders as parameters and outputs: what counts is their content."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())


class File(_Path):
    """A path or URL whose *content* is the input. Inside a step it is an ordinary path with a neutral name.

    As a pipeline parameter (``path: File = "data/flights.parquet"``) it takes a local path, which is
    uploaded and replaced by its digest, or a URL, which is read once a run. As the type of a step's output
    it says that the step returns the path of a file it wrote; its content becomes the artifact.
    """

    __slots__ = ()


class Folder(_Path):
    """A folder whose content is the input or output, as :class:`File` is for a file."""

    __slots__ = ()
