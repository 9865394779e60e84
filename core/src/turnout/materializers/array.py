"""Arrays of numpy, as npy files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from turnout.components.materializer import Unfit
from turnout.materializers.paths import FIRST, folder_of_step, refuse_texts
from turnout.materializers.sameness import Compared
from turnout.model.types import ANY, TypeName

MAPPED = 1 << 20
"""Files of this many bytes and more are mapped when they are read, smaller ones copied."""


class Numpy(Compared):
    """A ``numpy.ndarray`` as npy. A large one is mapped when read, privately: writing to it changes no file."""

    name = "numpy"
    types = ("numpy:ndarray",)

    def save(self, value: Any, folder: Path) -> None:
        import numpy as np

        if type(value) not in (np.ndarray, np.memmap):
            raise Unfit("a subclass of numpy.ndarray has a state of its own")
        if value.dtype.hasobject or value.dtype.metadata:
            raise Unfit(f"an array of {value.dtype} has no npy form without pickle")
        for texts in _texts(value):
            refuse_texts(texts, repr(texts).encode())
        with (folder / "array.npy").open("wb") as stream:
            np.lib.format.write_array(stream, value, allow_pickle=False)

    def load(self, folder: Path, wanted: TypeName = ANY) -> Any:
        import numpy as np

        path = folder / "array.npy"
        if path.stat().st_size < MAPPED:
            return np.load(path, allow_pickle=False)
        return np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))


def _texts(array: Any) -> Iterator[list[Any]]:
    """The first texts of an array, and of each of its fields, that begin as the paths of the step's files do."""
    import numpy as np

    prefix = folder_of_step()
    if prefix is None:
        return
    for name in array.dtype.names or ():
        yield from _texts(array[name])
    if array.dtype.kind in "SU":
        start = prefix if array.dtype.kind == "S" else os.fsdecode(prefix)
        flat = np.ravel(array)
        begins = flat.astype(f"{array.dtype.kind}{len(start)}") == start
        yield flat[begins][:FIRST].tolist()
