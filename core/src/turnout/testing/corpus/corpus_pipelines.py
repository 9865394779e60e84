# ruff: noqa: INP001 - this folder is copied, and is a project then
"""Small pipelines of plain values that together use all that an engine has to carry: what every one is tried with."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

from turnout import INTERVAL_START, LOGICAL_TIME, File, Resources, pipeline, step, when

NASTY = (
    "it's \"quoted\" '''thrice''' \"\"\"thrice\"\"\"; import os; os.system('touch was_here') #\n"
    "$(touch was_here) `touch was_here` ${env:HOME} ${secret:none} $HOME %s %(x)s {x} {{ 1 + 1 }} {% raw %} {# no #}\n"
    "\\ \\n \\' \t</script><b> & -->]]> *|: - [1] !!python/object 漢字 ☃ \u2028 end\\"
)
"""A text that comes out as it went in, or shows where it was pasted into something that is read as code."""


@step
def start(number: int) -> int:
    """A number to begin with."""
    return number


@step
def double(number: int) -> int:
    """Twice as much."""
    return 2 * number


@step
def spell(number: int) -> str:
    """A number as a text."""
    return f"the number {number}"


@step
def add(left: int, right: int) -> int:
    """Two inputs."""
    return left + right


@pipeline
def linear(number: int = 3) -> None:
    """One step after another."""
    spell(double(start(number)))


@pipeline
def diamond(number: int = 3) -> None:
    """Two branches from one step, and back into one; the same function twice, under two names."""
    given = start(number)
    add(double.named("left")(given), double.named("right")(double.named("more")(given)))


@step
def several(
    number: int,
) -> tuple[Annotated[int, "whole"], Annotated[str, "text"], Annotated[bytes, "raw"], Annotated[dict[str, Any], "tree"]]:
    """Four outputs of four kinds."""
    return number, str(number), bytes(range(number)), {"number": number, "deep": [None, True, {"x": 0.5}]}


@step
def gather(tree: dict[str, Any], raw: bytes, whole: int) -> dict[str, Any]:
    """Three of four outputs, in another order."""
    return {"whole": whole, "size": len(raw), "deep": tree["deep"]}


@pipeline
def outputs(number: int = 4) -> None:
    """A step of several outputs."""
    made = several(number)
    gather(made.tree, made.raw, made.whole)


@step
def numbers(count: int) -> list[int]:
    """As many elements as the run asks for."""
    return list(range(1, count + 1))


@step
def square(number: int, *, factor: int) -> int:
    """One element to one element, with something that stays the same."""
    return factor * number * number


@step
def label(number: int) -> str:
    """Of a mapped step, mapped again."""
    return f"#{number}"


@step
def total(squares: list[int]) -> int:
    """All elements, in order; 0 for none."""
    return sum(value * 10**place for place, value in enumerate(squares))


@step
def listed(labels: list[str]) -> str:
    """All elements as one text."""
    return " ".join(labels)


@pipeline
def mapped(count: int = 3, factor: int = 2) -> None:
    """One task an element, and all of them collected."""
    total(square.map(numbers(count), factor=factor))


@pipeline
def chained(count: int = 3) -> None:
    """A map of a map: elements stay aligned. Both are collected."""
    squares = square.map(numbers(count), factor=1)
    total(squares)
    listed(label.map(squares))


@step
def fragile(number: int) -> int:
    """Fails for one element."""
    if number == 2:
        raise ValueError("the second element is made to fail")
    return number


@pipeline
def broken_element(count: int = 3) -> None:
    """One element fails for good: so does the collector; a step beside them does not."""
    items = numbers(count)
    total(fragile.map(items))
    total.named("beside")(items)


@step
def measure(score: float) -> dict[str, float]:
    """What guards decide on."""
    return {"score": score, "spread": score / 2}


@step
def release(report: dict[str, float]) -> str:
    """Guarded."""
    return f"released at {report['score']}"


@step
def celebrate(released: str) -> str:
    """Guarded twice."""
    return released.upper()


@step
def alert(report: dict[str, float]) -> str:
    """Guarded by the contrary."""
    return f"only {report['score']}"


@step
def summary(report: dict[str, float], released: str | None, alerted: str | None) -> dict[str, Any]:
    """Takes None from a step that was skipped."""
    return {"score": report["score"], "released": released, "alerted": alerted}


@step
def archive(released: str) -> str:
    """Needs what may be skipped, and is then skipped itself."""
    return f"archived: {released}"


@pipeline
def guarded(score: float = 0.5, threshold: float = 0.4) -> None:
    """A guard, one within it, its contrary; who needs a skipped step is skipped, who could do without is not."""
    report = measure(score)
    with when(report["score"] > threshold, name="good"):
        released = release(report)
        with when(report["spread"] > threshold, name="great"):
            celebrate(released)
    with when(report["score"] <= threshold, name="bad"):
        alerted = alert(report)
    summary(report, released, alerted)
    archive(released)


@step
def found(squares: list[int] | None) -> str:
    """Collects a map that may be skipped as a whole."""
    return "nothing" if squares is None else f"{len(squares)} squares"


@pipeline
def guarded_map(count: int = 2, wanted: bool = False) -> None:
    """A map behind a guard: skipped as a whole, with who needs it."""
    items = numbers(count)
    with when(wanted, name="asked"):
        squares = square.map(items, factor=3)
    total(squares)
    found(squares)


@step(retries=2)
def flaky(scratch: str, failures: int) -> str:
    """Fails so many times and then succeeds; the folder *scratch* is where it remembers."""
    Path(scratch).mkdir(parents=True, exist_ok=True)
    for number in range(failures):
        try:
            Path(scratch, f"failure-{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        raise ConnectionError(f"failure {number + 1} of {failures} is made on purpose")
    return "it worked"


@step
def after(text: str) -> str:
    """Comes after something else."""
    return f"after {text}"


@pipeline
def retried(scratch: str, failures: int = 1) -> None:
    """A step that has to be tried again."""
    after(flaky(scratch, failures))


@step(timeout=1)
def endless() -> str:
    """Takes longer than it may."""
    time.sleep(120)
    return "too late"


@pipeline
def slow(number: int = 1) -> None:
    """A step that is stopped; what does not need it goes on."""
    after(endless())
    spell(start(number))


class Colour(Enum):
    """A choice by name."""

    RED = "red"
    BLUE = "blue"


@step
def describe(
    whole: int,
    big: int,
    ratio: float,
    flag: bool,
    text: str,
    moment: datetime,
    day: date,
    span: timedelta,
    items: list[int],
    table: dict[str, float],
    tree: Any,
    level: str,
    colour: str,
    nothing: int | None,
) -> dict[str, list[str]]:
    """What each parameter is when it arrives, its Python type included."""
    given = dict(locals())
    return {name: [type(value).__name__, repr(value)] for name, value in sorted(given.items())}


@step
def read(path: File) -> str:
    """The content of a file, and the suffix of its name."""
    return path.suffix + " " + path.read_text(encoding="utf-8")


@pipeline
def parameters(
    big: int,
    text: str,
    whole: int = 1,
    ratio: float = 0.1,
    flag: bool = False,
    moment: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc),
    day: date = date(2026, 1, 1),
    span: timedelta = timedelta(seconds=1.5),
    items: list[int] = [1],  # noqa: B006 - a parameter's default
    table: dict[str, float] = {"a": 1.0},  # noqa: B006 - a parameter's default
    tree: Any = None,
    level: Literal["low", "high"] = "low",
    colour: Colour = Colour.RED,
    nothing: int | None = None,
    path: File = "data/colours.csv",  # type: ignore[assignment]
) -> None:
    """A parameter of every type, given when the run is started."""
    describe(whole, big, ratio, flag, text, moment, day, span, items, table, tree, level, colour, nothing)
    read(path)


@step
def when_it_was(moment: datetime) -> str:
    """A time as a text."""
    return moment.isoformat()


@pipeline
def timed(moment: datetime = LOGICAL_TIME) -> None:
    """The run's logical time."""
    when_it_was(moment)


@pipeline
def prepare(number: int) -> Any:
    """Part of another pipeline."""
    return double(start(number))


@pipeline
def nested(number: int = 5) -> None:
    """A pipeline in a pipeline, twice, and a step that takes from both."""
    add(prepare(number), prepare.named("again")(7))


@step
def load(size: int) -> bytes:
    """Some megabytes."""
    return bytes(range(256)) * size


@step
def weigh(data: bytes) -> str:
    """What arrived of them."""
    return f"{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}"


@pipeline
def large(size: int = 16_384) -> None:
    """An artifact too large for any message of an engine."""
    weigh(load(size))


@step
def fail(number: int) -> int:
    """Always fails."""
    print("about to fail")
    raise RuntimeError(f"the step cannot deal with {number}")


@pipeline
def broken_branch(number: int = 1) -> None:
    """One branch fails and takes along what needs it; the other goes on."""
    given = start(number)
    spell(double.named("lost")(fail(given)))
    spell.named("kept")(double(given))


@pipeline
def skipped_failure(number: int = 1, levy: bool = False) -> None:
    """A step fails, and the only one that needs it is skipped: the run has failed all the same."""
    lost = fail(start(number))
    with when(levy, name="asked"):
        spell(lost)


@pipeline
def skipped_later(number: int = 1, levy: bool = False) -> None:
    """Likewise, with a step between that never begins, two that are skipped, and a branch that is well."""
    lost = double.named("lost")(fail(start(number)))
    with when(levy, name="asked"):
        spell(lost)
        add(lost, number)
    spell.named("kept")(number)


@step
def no_numbers(count: int) -> list[int]:
    """Fails instead of a list."""
    raise LookupError(f"there are no {count} numbers")


@pipeline
def skipped_constant(count: int = 2, levy: bool = False) -> None:
    """Likewise, where a map is skipped by what it holds constant, and with it who collects it."""
    with when(levy, name="asked"):
        factor = double(count)
    total(square.map(no_numbers(count), factor=factor))


LONG = "a_name_as_long_as_any_may_be_" + "x" * 71
"""A hundred characters."""


@step
def join(values: list[int]) -> int:
    """Numbers as digits."""
    return int("".join(map(str, values)))


@step
def pack(
    a: int, b: int, c: int, d: int, e: int, f: int, g: int, h: int
) -> tuple[Annotated[list[int], "class"], Annotated[int, "output"]]:
    """Eight inputs; outputs named like a keyword, and like the only output of others."""
    return [a, b, c, d, e, f, g, h], 8


@pipeline
def names(number: int = 1) -> None:
    """Names that engines and languages take for something else, or for one another."""
    make: Callable[[str, int], Any] = lambda name, more: add.named(name)(number, more)  # noqa: E731
    packed = pack(
        make("class", 0),
        make("import", 1),
        make("a_b", 2),
        make("a__b", 3),
        make("ab", 4),
        make("x1", 5),
        make("x_1", 6),
        make(LONG, 7),
    )
    join.named("None")(getattr(packed, "class"))


@step(secrets={"CORPUS_PASSWORD": "corpus_password"})
def unlock(number: int) -> str:
    """Uses a secret, and shows it as one should not."""
    password = os.environ["CORPUS_PASSWORD"]
    print(f"the password of {number} is {password}", flush=True)
    return hashlib.sha256(password.encode()).hexdigest()


@step
def look(text: str) -> bool:
    """Whether the secret is still there."""
    return "CORPUS_PASSWORD" in os.environ and bool(text)


@pipeline
def secret(number: int = 1) -> None:
    """A step with a secret, and one after it that must not see it."""
    look(unlock(number))


@step
def echo(text: str, other: str) -> str:
    return text + other


echo.__doc__ = echo.function.__doc__ = NASTY


@pipeline(tags={"note": NASTY})
def quoted(text: str = NASTY) -> None:
    """Replaced below."""
    echo(text, NASTY)


quoted.__doc__ = quoted.function.__doc__ = NASTY


@step
def wait(scratch: str, number: int) -> int:
    """Says that it has begun, in the folder *scratch*, and stays."""
    Path(scratch).mkdir(parents=True, exist_ok=True)
    Path(scratch, "begun").touch()
    time.sleep(120)
    return number


@pipeline
def patient(scratch: str, number: int = 1) -> None:
    """Something to cancel: a step that is done, one that stays, one that never begins."""
    spell(wait(scratch, start(number)))


@step(
    resources=Resources(cpu=2, memory="64Mi", gpu=1, accelerator="nvidia-l4"),
    retries=1,
    retry_delay=1,
    retry_backoff=2.0,
    env=["CORPUS_REGION"],
    requirements=["msgspec"],
)
def demanding(number: int) -> int:
    """Asks for all that only some engines have."""
    return number


@pipeline(schedule="0 6 * * *")
def demands(since: datetime = INTERVAL_START) -> None:
    """Planned only, never run: everything that the other pipelines do not ask for."""
    when_it_was(since)
    demanding(1)


@pipeline(schedule="@daily")
def scheduled(number: int = 1) -> None:
    """Runs by itself, once it is published."""
    start(number)
