"""A step that fails until a file is there."""

from pathlib import Path

from turnout import pipeline, step


@step
def begin(number: int) -> int:
    return number


@step
def read(number: int, *, place: str) -> int:
    return number + len(Path(place).read_text(encoding="utf-8"))


@step
def double(number: int) -> int:
    return 2 * number


@pipeline
def waiting(place: str, number: int = 3) -> None:
    double(read(begin(number), place=place))
