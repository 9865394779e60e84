"""What the tests of the Airflow plugin share."""

import subprocess
import sys
from pathlib import Path

import pytest

RULES = "E4,E7,E9,F,W,I,B,UP,AIR"
"""Errors, the order of imports, and what ruff knows of Airflow 3."""


@pytest.fixture
def as_formatted(tmp_path):
    """See that DAG files are as `ruff format` leaves them without any settings, and that its linter finds nothing."""

    def check(sources):
        folder = tmp_path / "formatted"
        folder.mkdir()
        for number, source in enumerate(sources):
            (folder / f"dag_{number}.py").write_text(source, encoding="utf-8")
        _ruff("format", "--diff", folder)
        _ruff("check", "--select", RULES, "--target-version", "py310", "--output-format", "concise", folder)

    return check


def _ruff(verb, *words):
    command = [str(Path(sys.executable).with_name("ruff")), verb, "--isolated", "--no-cache", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
