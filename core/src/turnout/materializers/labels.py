"""Labels of pandas, categories and other short indexes, as JSON; and whether two of them are the same."""

from __future__ import annotations

from typing import Any

from turnout.components.materializer import Unfit
from turnout.materializers import plain
from turnout.materializers.classes import name_of

_PERIODS = ("pandas:Period", "pandas._libs.tslibs.period:Period")
_INTERVALS = ("pandas:Interval", "pandas._libs.interval:Interval")


def lower_label(value: Any) -> Any:
    """The plain form of a label, a name or attributes; also of pandas' periods and intervals.

    Raises:
        Unfit: when it has none.
    """
    return plain.lower(value, _lower_part)


def lift_label(tree: Any) -> Any:
    """The value of such a form."""
    return plain.lift(tree, _lift_part)


def _lower_part(value: Any) -> Any:
    name = name_of(type(value))
    if name in _PERIODS:
        return ["period", value.ordinal, value.freqstr]
    if name in _INTERVALS:
        return ["interval", lower_label(value.left), lower_label(value.right), value.closed]
    raise Unfit(f"a label of {name} has no plain form")


def _lift_part(reference: Any) -> Any:
    import pandas as pd

    kind, *parts = reference
    if kind == "period":
        return pd.Period(ordinal=parts[0], freq=parts[1])
    return pd.Interval(lift_label(parts[0]), lift_label(parts[1]), parts[2])


def lower(index: Any) -> dict[str, Any]:
    """The plain form of an index.

    Raises:
        Unfit: when a label has none.
    """
    levels = [index.get_level_values(n) for n in range(index.nlevels)]
    return {
        "levels": [_lower_level(level) for level in levels],
        "multi": name_of(type(index)).endswith(":MultiIndex"),
        "names": lower_label(list(index.names)),
    }


def lift(described: dict[str, Any]) -> Any:
    """The index of a plain form."""
    import pandas as pd

    levels = [_lift_level(level) for level in described["levels"]]
    names = lift_label(described["names"])
    return pd.MultiIndex.from_arrays(levels, names=names) if described["multi"] else levels[0].rename(names[0])


def _lower_level(level: Any) -> dict[str, Any]:
    if hasattr(level, "categories"):
        return {
            "categories": lower(level.categories),
            "codes": level.codes.tolist(),
            "ordered": bool(level.ordered),
        }
    if name_of(type(level)).endswith(":RangeIndex"):
        return {"range": [level.start, level.stop, level.step]}
    if level.dtype.kind in "mM":
        frequency = None if level.freq is None else frequency_text(level.freq)
        return {"dtype": str(level.dtype), "values": level.asi8.tolist(), "freq": frequency}
    return {"dtype": str(level.dtype), "values": lower_label(level.tolist())}


def _lift_level(described: dict[str, Any]) -> Any:
    import numpy as np
    import pandas as pd

    if "range" in described:
        return pd.RangeIndex(*described["range"])
    if "codes" in described:
        categories = lift(described["categories"])
        return pd.CategoricalIndex(
            pd.Categorical.from_codes(described["codes"], categories, ordered=described["ordered"])
        )
    values, dtype = lift_label(described["values"]), described["dtype"]
    if "freq" in described:
        kind = pd.DatetimeIndex if dtype.startswith("d") else pd.TimedeltaIndex
        return kind(np.array(values, "i8"), dtype=dtype, freq=described["freq"])
    return pd.Index(values, dtype=dtype, tupleize_cols=False)


def frequency_text(frequency: Any) -> str:
    """The text of a frequency.

    Raises:
        Unfit: when the text does not say all of it, as for a ``DateOffset`` or business days with holidays.
    """
    import pandas as pd

    text: str = frequency.freqstr
    read = pd.tseries.frequencies.to_offset(text)
    if type(read) is not type(frequency) or read != frequency:
        raise Unfit(f"the text of its frequency, {text}, does not say all of it")
    return text


def is_object(dtype: Any) -> bool:
    """Whether a column or level of this type holds Python's objects."""
    return dtype.kind == "O" and (type(dtype).__module__.startswith("numpy") or type(dtype).__name__ == "NumpyEADtype")


def kinds_of(values: Any) -> set[type]:
    """The types of the items of a column."""
    return set(map(type, values))


def same_labels(left: Any, right: Any) -> bool:
    """Whether two short indexes are the same: a range is, for this, the numbers it stands for."""
    return (
        left.nlevels == right.nlevels
        and same_items(left.names, right.names)
        and getattr(left, "freq", None) == getattr(right, "freq", None)
        and all(_same_level(left.get_level_values(n), right.get_level_values(n)) for n in range(left.nlevels))
    )


def _same_level(left: Any, right: Any) -> bool:
    return left.dtype == right.dtype and same_items(left.array, right.array)


def same_items(left: Any, right: Any) -> bool:
    """Whether two columns hold the same objects: of the same types, and told by the same text."""
    if len(left) != len(right):
        return False
    if hasattr(left, "categories"):
        return bool((left.codes == right.codes).all()) and same_items(left.categories, right.categories)
    if hasattr(left, "dtype") and not is_object(left.dtype):
        return bool(left.equals(right))
    return all(_same_item(one, other) for one, other in zip(left, right, strict=True))


def _same_item(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if name_of(type(one)) == "numpy:ndarray":
        return bool((one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes()))
    return repr(one) == repr(other)
