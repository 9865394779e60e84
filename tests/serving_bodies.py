"""Bodies of requests: such as an endpoint takes, and such with something wrong; the same for one seed."""

from __future__ import annotations

import json
import random
from typing import Any

JUNK: list[Any] = [
    None, True, False, 0, -1, 1.5, 3.0, 1e308, -1e308, 3.5e38, 10**18, 2**63, 2**64, -(2**63) - 1, 10**40, 127, 128, -129, "",
    "a", "b", "0", "1.5", "NaN", "Infinity", "-Infinity", "nan", "true", "null", "ä\u0000\U0001f600", "x" * 5000, "2026-01-31",
    "2026-01-31T12:00:00", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00+01:00", "2026-01-31 12:00:00.123456", "20260131",
    "2026-02-30", "0000-01-01", "9999-12-28T23:59:59", "12:30:00", "12:30", "24:00:00", "P1D", "PT1H30M", "P1Y", "P999999999W",
    "AAAA", "gASVAAAAAA==", "!", "1e5", "1_0", [], {}, [1], ["a"], [None], [[1]], ["a", 1], {"a": 1}, {"a": "x", "b": 2.0},
    {"a": None}, [["k", 1]], [["k"]], [[None, 1]], {"$tuple": [1]}, {"__class__": "os.system"},
]  # fmt: skip
"""Values that some column or parameter takes, and others do not."""


def value(chance: random.Random, depth: int = 0) -> Any:
    """Any JSON value."""
    kind = chance.randrange(10)
    if kind == 0 and depth < 3:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 1 and depth < 3:
        return {
            chance.choice("abxn") * chance.randrange(3): value(chance, depth + 1) for _ in range(chance.randrange(4))
        }
    if kind == 2:
        return chance.uniform(-1e3, 1e3)
    if kind == 3:
        return chance.randrange(-300, 300)
    return chance.choice(JUNK)


def body(seed: int, fitting: list[dict[str, Any]], params: dict[str, list[Any]]) -> bytes:
    """The body of a request to an endpoint.

    Args:
        fitting: rows that the endpoint takes.
        params: values by parameter that it takes.
    """
    chance = random.Random(seed)
    rows = [dict(chance.choice(fitting)) for _ in range(chance.randrange(5))]
    document: Any = {"rows": rows, **{n: chance.choice(v) for n, v in params.items() if chance.random() < 0.3}}
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
        document = _spoiled(chance, document, rows)
    text = json.dumps(document, ensure_ascii=chance.random() < 0.5)
    return _broken(chance, text.encode()) if chance.random() < 0.08 else text.encode()


def _spoiled(chance: random.Random, document: Any, rows: list[dict[str, Any]]) -> Any:
    own = [row for row in rows if isinstance(row, dict)]
    row = chance.choice(own) if own else {}
    column = chance.choice(list(row)) if row else "x"
    what = chance.randrange(14)
    if what < 7:  # most of them: one value
        row[column] = value(chance)
    elif what == 7:
        row.pop(column, None)
    elif what == 8:
        row[chance.choice(["y", "", column.upper(), column + "s", "x" * 10_000])] = 1
    elif what == 9 and isinstance(document, dict):
        document[chance.choice(["plus", "mode", "rows", "other", ""])] = value(chance)
    elif what == 10 and isinstance(document, dict):
        return document.get("rows")
    elif what == 11:
        rows.insert(chance.randrange(len(rows) + 1), value(chance))
    elif what == 12:
        return value(chance)
    elif what == 13:
        deep: Any = 1
        for _ in range(chance.choice([5, 200, 900])):
            deep = [deep] if chance.random() < 0.5 else {"x": deep}
        row[column] = deep
    return document


def _broken(chance: random.Random, data: bytes) -> bytes:
    what = chance.randrange(6)
    if what == 0:
        return data[: chance.randrange(len(data) + 1)]
    if what == 1:
        return chance.randbytes(chance.randrange(64))
    if what == 2:
        place = chance.randrange(len(data) + 1)
        return data[:place] + chance.randbytes(3) + data[place:]
    if what == 3:
        return data.replace(b"1", chance.choice([b"1e999", b"NaN", b"-", b"01", b"1" * 5000]), 1)
    if what == 4:
        return data.replace(b'"', chance.choice([b'"\\ud800', b"'", b'"\xff']), 1)
    return b"[" * 100_000
