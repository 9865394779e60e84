"""``turnout init``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

PYPROJECT = """\
[project]
name = "{name}"
version = "0.1.0"
requires-python = ">=3.10"
dependencies = []

[tool.turnout]
project = "{name}"
"""

PIPELINE = '''\
"""A first pipeline: plain functions, called in a pipeline."""

from turnout import log_metric, pipeline, step, when


@step
def numbers(count: int) -> list[int]:
    """The numbers to work on: a list, so that a step can be mapped over it."""
    return list(range(1, count + 1))


@step
def square(number: int) -> int:
    """Runs once for each number."""
    return number * number


@step
def total(squares: list[int]) -> int:
    """Collects what the mapped step made."""
    result = sum(squares)
    log_metric("total", result)
    return result


@step
def report(result: int) -> str:
    """Runs only if the guard in the pipeline is true."""
    return f"the squares add up to {result}"


@pipeline
def squares(count: int = 5, threshold: int = 50):
    """Square some numbers and report their sum if it is large enough."""
    result = total(square.map(numbers(count)))
    with when(result > threshold):
        report(result)
'''

TEST = '''\
"""Steps are plain functions; the pipeline runs in this process on a temporary store."""

from pipeline import square, squares


def test_a_step_is_a_function():
    assert square(4) == 16


def test_the_pipeline_runs(turnout_stack):
    run = squares.run(stack=turnout_stack, count=3, threshold=10)
    assert run["total"].load() == 14
    assert run["report"].load() == "the squares add up to 14"
'''

IGNORED = """\
.turnout/
.venv/
__pycache__/
"""

FILES = {"pyproject.toml": PYPROJECT, "pipeline.py": PIPELINE, "test_pipeline.py": TEST, ".gitignore": IGNORED}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
def init(folder: Path) -> None:
    """Write a small project into FOLDER (this one, if left out) that runs and passes its test at once.

    A file that is there already is never overwritten.
    """
    from turnout.base.errors import ConfigError
    from turnout.base.names import problem, suggestion

    taken = [name for name in FILES if (folder / name).exists()]
    if taken:
        raise ConfigError(
            f"{folder / taken[0]} exists already",
            why="init overwrites nothing",
            fix="give a new folder: turnout init DIR",
        )
    name = folder.resolve().name
    name = suggestion(name) if problem(name) else name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in FILES.items():
            (folder / path).write_text(text.replace("{name}", name), encoding="utf-8")
            click.echo(f"wrote {folder / path}")
    except OSError as error:
        raise ConfigError(
            f"the project cannot be written to {folder}", why=error.strerror, fix="give a folder you may write to"
        ) from None
    click.echo("\ntry next")
    if folder != Path():
        click.echo(f"  cd {shlex.quote(str(folder))}")
    click.echo("  turnout run pipeline.py")
    click.echo("  pytest")
