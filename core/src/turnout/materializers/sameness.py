"""When two values are the same for a user: the comparator most materializers declare.

Types must be equal. Floats may differ by the tolerance of their width, for sums are taken in another order on
another processor; NaN equals NaN. Of a dict the order of its keys does not count. Objects without a comparison of
their own are compared by the state they would be pickled with.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from turnout.components.materializer import Materializer, tree
from turnout.materializers.classes import names_of

TOLERANCE = {8: 1e-9, 4: 1e-5, 2: 1e-2}
"""The relative tolerance for floats, by their width in bytes; the absolute one is a thousandth of it."""

Seen = dict[tuple[int, int], tuple[Any, Any]]
"""The pairs met so far, by their ids; they are held, since an id is given anew once its object is gone."""


class Compared(Materializer):
    """A materializer whose comparator is :func:`same`, asked only where the files' bytes differ."""

    def equal(self, left: Path, right: Path) -> bool:
        return super().equal(left, right) or same(self.load(left), self.load(right))


def same(left: Any, right: Any, seen: Seen | None = None) -> bool:
    """Whether two values are the same, floats within :data:`TOLERANCE`."""
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    if isinstance(left, float) and type(left) is float:
        return _close(left, right)
    if isinstance(left, (str, bytes, int, bool)):
        return bool(left == right)
    seen = {} if seen is None else seen
    if (id(left), id(right)) in seen:
        return True
    seen[id(left), id(right)] = (left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key], seen) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(same(a, b, seen) for a, b in zip(left, right, strict=True))
    for name in names_of(type(left)):
        if name in _LIBRARIES:
            return _LIBRARIES[name](left, right, seen)
    return _objects(left, right, seen)


def _close(left: float, right: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return math.isclose(left, right, rel_tol=TOLERANCE[8], abs_tol=TOLERANCE[8] / 1000)


def _objects(left: Any, right: Any, seen: Seen) -> bool:
    try:
        equal = bool(left == right)
    except Exception:  # of a dataclass with arrays, say: what counts then is the state
        equal = False
    return equal or _states(left, right, seen)


def _states(left: Any, right: Any, seen: Seen) -> bool:
    try:
        one, other = left.__reduce_ex__(4), right.__reduce_ex__(4)
    except TypeError:
        return False
    if isinstance(one, str) or isinstance(other, str):
        return bool(one == other)
    return same(_listed(one), _listed(other), seen)


def _listed(reduced: tuple[Any, ...]) -> list[Any]:
    """What ``__reduce_ex__`` gave, its iterators of items as lists."""
    return [list(part) if hasattr(part, "__next__") else part for part in reduced]


def _arrays(left: Any, right: Any, seen: Seen) -> bool:
    import numpy as np

    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    kind = left.dtype.kind
    if left.dtype.names:
        return all(_arrays(left[name], right[name], seen) for name in left.dtype.names)
    if kind == "O":
        return all(same(a, b, seen) for a, b in zip(left.ravel().tolist(), right.ravel().tolist(), strict=True))
    if kind in "fc":
        width = left.dtype.itemsize // (2 if kind == "c" else 1)
        rtol = TOLERANCE.get(width, TOLERANCE[8])
        return bool(np.isclose(left, right, rtol=rtol, atol=rtol / 1000, equal_nan=True).all())
    return bool(np.array_equal(left, right, equal_nan=kind in "mM"))


def _scalars(left: Any, right: Any, seen: Seen) -> bool:
    import numpy as np

    return _arrays(np.asarray(left), np.asarray(right), seen)


def _frames(left: Any, right: Any, seen: Seen) -> bool:
    if list(left.columns) != list(right.columns) or left.columns.names != right.columns.names:
        return False
    if not _indexes(left.index, right.index, seen):
        return False
    return all(_columns(left.iloc[:, n], right.iloc[:, n], seen) for n in range(left.shape[1]))


def _series(left: Any, right: Any, seen: Seen) -> bool:
    return bool(left.name == right.name) and _indexes(left.index, right.index, seen) and _columns(left, right, seen)


def _indexes(left: Any, right: Any, seen: Seen) -> bool:
    if list(left.names) != list(right.names) or len(left) != len(right):
        return False
    if left.nlevels > 1:
        levels = range(left.nlevels)
        return all(_columns(left.get_level_values(n), right.get_level_values(n), seen) for n in levels)
    return _columns(left, right, seen)


def _columns(left: Any, right: Any, seen: Seen) -> bool:
    """Whether two columns or indexes of pandas hold the same."""
    if left.dtype != right.dtype or len(left) != len(right):
        return False
    if left.dtype.kind in "fcO" and type(left.dtype).__module__.startswith("numpy"):
        return _arrays(left.to_numpy(), right.to_numpy(), seen)
    if left.dtype.kind == "f":
        missing = left.isna().to_numpy()
        if (missing != right.isna().to_numpy()).any():
            return False
        return _arrays(left.to_numpy("f8", na_value=0.0), right.to_numpy("f8", na_value=0.0), seen)
    return bool(left.equals(right))


def _polars_frames(left: Any, right: Any, seen: Seen) -> bool:
    if left.schema != right.schema or left.shape != right.shape:
        return False
    return all(_polars_series(left[name], right[name], seen) for name in left.columns)


def _polars_series(left: Any, right: Any, seen: Seen) -> bool:
    if left.name != right.name or left.dtype != right.dtype or len(left) != len(right):
        return False
    if left.equals(right, null_equal=True):
        return True
    if not left.dtype.is_float() and not left.dtype.is_nested():
        return False
    if left.dtype.is_nested():
        return same(left.to_list(), right.to_list(), seen)
    if not (left.is_null() == right.is_null()).all():
        return False
    return _arrays(left.fill_null(0.0).to_numpy(), right.fill_null(0.0).to_numpy(), seen)


def _arrow_tables(left: Any, right: Any, seen: Seen) -> bool:
    if not left.schema.equals(right.schema, check_metadata=False) or left.num_rows != right.num_rows:
        return False
    return all(_arrow_columns(a, b, seen) for a, b in zip(left.columns, right.columns, strict=True))


def _arrow_columns(left: Any, right: Any, seen: Seen) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    if left.equals(right):
        return True
    if pa.types.is_floating(left.type):
        if not pc.is_null(left).equals(pc.is_null(right)):
            return False
        zero = pa.scalar(0.0, pa.float64()).cast(left.type)
        return _arrays(left.fill_null(zero).to_numpy(), right.fill_null(zero).to_numpy(), seen)
    return pa.types.is_nested(left.type) and same(left.to_pylist(), right.to_pylist(), seen)


def _files(left: Any, right: Any, _: Seen) -> bool:
    if left.is_dir() or right.is_dir():
        return left.is_dir() and right.is_dir() and tree(left) == tree(right)
    return (
        bool(left == right) if not left.is_file() else right.is_file() and bool(left.read_bytes() == right.read_bytes())
    )


_LIBRARIES = {
    "turnout.files:File": _files,
    "turnout.files:Folder": _files,
    "numpy:ndarray": _arrays,
    "numpy:generic": _scalars,
    "pandas:DataFrame": _frames,
    "pandas.core.frame:DataFrame": _frames,
    "pandas:Series": _series,
    "pandas.core.series:Series": _series,
    "polars.dataframe.frame:DataFrame": _polars_frames,
    "polars.series.series:Series": _polars_series,
    "polars.lazyframe.frame:LazyFrame": lambda left, right, seen: _polars_frames(left.collect(), right.collect(), seen),
    "pyarrow.lib:Table": _arrow_tables,
}
