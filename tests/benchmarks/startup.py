"""What a start costs, against an interpreter that does nothing."""

from __future__ import annotations

from measure import REPEATS, Result, medians, python, turnout

TARGET = 8.0
EACH = 10


def measure() -> list[Result]:
    """The processor time of ``turnout --help`` and ``import turnout``, in times of an empty interpreter's."""
    found = medians(
        {
            "empty": lambda: _mean(lambda: python("pass").cpu),
            "import": lambda: _mean(lambda: python("import turnout").cpu),
            "help": lambda: _mean(lambda: turnout("--help").cpu),
        },
        max(REPEATS, 5),
    )
    empty = found["empty"]
    return [
        _result("`turnout --help`", found["help"], empty),
        _result("`import turnout`", found["import"], empty),
    ]


def _mean(once: object) -> float:
    assert callable(once)
    return sum(once() for _ in range(EACH)) / EACH


def _result(name: str, cpu: float, empty: float) -> Result:
    return Result(
        name,
        f"{cpu / empty:.1f} times an empty interpreter",
        f"≤ {TARGET:g} times",
        cpu / empty <= TARGET,
        f"{1000 * cpu:.0f} ms of processor time against {1000 * empty:.0f} ms; each the mean of {EACH} starts",
    )
