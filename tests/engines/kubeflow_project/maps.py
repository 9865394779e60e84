"""Maps of maps, of which an element fails."""

from __future__ import annotations

from turnout import pipeline, step


@step
def count(number: int) -> list[int]:
    """A list to be mapped over."""
    return list(range(number))


@step
def fragile(number: int) -> int:
    """Fails for one element."""
    if number == 1:
        raise ValueError("one is made to fail")
    return 10 * number


@step
def after(number: int, beside: list[int]) -> str:
    """Comes after an element, and knows all that came before."""
    return f"{number} of {len(beside)}"


@step
def last(text: str) -> str:
    """Comes after that."""
    return f"<{text}>"


@step
def gather(texts: list[str]) -> str:
    """All of them."""
    return " ".join(texts)


@pipeline
def chain(number: int = 3) -> None:
    """A map of a map of a map."""
    elements = count(number)
    gather(last.map(after.map(fragile.map(elements), beside=elements)))
