"""Values of the project's own classes, files and log records, read back by the commands as a user types them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

LIB = """
import dataclasses


class Thing:
    def __repr__(self):
        return "a thing"


@dataclasses.dataclass
class Data:
    a: int
"""
FLOW = """
import logging

from lib import Data, Thing
from turnout import File, pipeline, step


@step
def thing() -> Thing:
    logging.info("said by logging")
    logging.getLogger("mine").debug("not said")
    return Thing()


@step
def own() -> Thing:
    logging.basicConfig(level=logging.DEBUG, format="own: %(message)s")
    logging.debug("said as set up")
    return Thing()


@step
def data() -> Data:
    return Data(3)


@step
def write() -> File:
    path = File("report.html")
    path.write_text("<p>")
    return path


@pipeline
def flow():
    thing(), own(), data(), write()
"""


def test_what_the_project_made_is_read_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    files = {"pyproject.toml": "[project]\nname = 'own'\nversion = '0'\n", "lib/__init__.py": LIB, "flow.py": FLOW}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    script = Path(sys.executable).with_name("turnout")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("TURNOUT", "PYTHON"))}

    def call(*words: str, folder: Path = tmp_path) -> str:
        done = subprocess.run([script, *words], cwd=folder, env=environ, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    first = call("run", "flow.py").partition("\nrun ")[2][:8]
    second = call("run", "flow.py", "--no-cache").partition("\nrun ")[2][:8]
    assert call("artifacts", "load", "latest", "thing") == "a thing\n"
    assert call("artifacts", "load", "latest", "data") == "Data(a=3)\n"
    path = Path(call("artifacts", "load", "latest", "write").strip())
    assert path.read_text() == "<p>"
    assert path.is_relative_to(tmp_path / ".turnout/loaded")
    assert path.name == "report.html"
    assert "\tfile\t3\treport.html\n" in call("artifacts", "list")
    assert "\tfile\t3\treport.html\n" in call("artifacts", "list", "latest")
    assert re.search(r"name +report.html\n", call("artifacts", "show", "latest", "write"))
    assert "File report.html, 3 bytes" in call("runs", "show", "latest", "write")
    call("promote", "latest", "thing", "--alias", "best")
    assert call("artifacts", "load", "best") == "a thing\n"
    assert call("verify", first, second).startswith("no difference: 4 steps")
    assert call("runs", "logs", "latest", "thing") == "INFO:root:said by logging\n"
    assert call("runs", "logs", "latest", "own") == "own: said as set up\n"
    (tmp_path / "lib").rename(tmp_path / "gone")
    assert call("artifacts", "load", "latest", "thing").splitlines()[1:] == [
        "  why: what it needs is neither installed nor in this project",
        "  fix: call it in the folder of its project, or install the package; for a step, add it to its requirements",
    ]
