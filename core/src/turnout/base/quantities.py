"""Quantities of memory, as Kubernetes writes them."""

from __future__ import annotations

import re

from turnout.base.errors import DefinitionError

_UNITS = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)\Z")


def memory_bytes(quantity: int | str) -> int:
    """A quantity of memory in bytes: ``"4Gi"`` is 4 * 2**30, ``"500M"`` 500 * 10**6, a number itself.

    Raises:
        DefinitionError: when it is not such a quantity.
    """
    if isinstance(quantity, int):
        return quantity
    match = _QUANTITY.match(quantity.strip())
    if match is None or match[2] not in _UNITS:
        raise DefinitionError(
            f"{quantity!r} is not a quantity of memory",
            why=f"a number and one of {', '.join(unit for unit in _UNITS if unit)}",
            fix="write it as Kubernetes does, for example '4Gi'",
        )
    return int(float(match[1]) * _UNITS[match[2]])


def plain_memory(quantity: int | str) -> int | str:
    """A quantity of memory as Kubernetes reads it: without spaces, ``"2 Gi"`` is ``"2Gi"``."""
    return quantity if isinstance(quantity, int) else "".join(quantity.split())


def plain_number(number: float) -> str:
    """A number in decimals, to a thousandth of a millionth: Kubernetes takes no exponent, nor do durations."""
    return f"{number:.9f}".rstrip("0").rstrip(".")
