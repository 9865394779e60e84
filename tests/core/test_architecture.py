"""The map of the house names every room, in the layers that the import contracts hold."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import tomllib

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core" / "src" / "turnout"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = {init.parent.name: init for init in CORE.glob("*/__init__.py")}
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]


def layers() -> list[set[str]]:
    """The rooms and single modules of each layer, from the top, as the import contracts have them."""
    (contract,) = (one for one in CONTRACTS if one["id"] == "layers")
    return [set(re.findall(r"\w+", layer)) for layer in contract["layers"]]


def test_each_room_has_its_sentence_in_the_map_and_in_its_package():
    in_map = dict(re.findall(r"(?m)^### (\w+)\n\n(.+)$", PAGE))
    in_code = {name: ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) for name, init in ROOMS.items()}
    assert {name: sentence.replace("`", "``") for name, sentence in in_map.items()} == in_code


def test_the_picture_has_the_layers_of_the_import_contracts():
    picture = next(block for block in re.findall(r"(?ms)^```\n(.*?)^```$", PAGE) if block.startswith("cli"))
    drawn = [set(line.split("  ")[0].split(" · ")) for line in picture.splitlines() if not line.startswith("─")]
    for layer in layers():
        rooms: set[str] = set()
        while rooms < layer:
            rooms |= drawn.pop(0)  # a wide layer takes two lines
        assert rooms == layer
    assert not drawn


def test_the_map_names_files_that_are_there():
    named = {one for one in re.findall(r"`([\w/]+\.py)`", PAGE) if "/" in one}
    assert len(named) > 15
    assert [one for one in sorted(named) if not (CORE / one).is_file()] == []


def test_the_tests_of_the_core_lie_in_its_rooms():
    here = Path(__file__).parent
    assert {one.parent.relative_to(here).parts[0] for one in here.glob("*/**/test_*.py")} <= set(ROOMS)
    of_the_whole = {"test_architecture.py", "test_contracts.py", "test_startup.py"}
    assert {one.name for one in here.glob("test_*.py")} <= of_the_whole
