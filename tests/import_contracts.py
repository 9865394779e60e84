"""Hold the import contracts of pyproject.toml, with the packages that are here filled in: `make lint`.

A plugin is found by its folder, and a module of the core by its file, so that none can be left out of a contract. What
import-linter has no contract for is held here as well: no circle of imports, and no file name in three rooms.
"""

from __future__ import annotations

import configparser
import graphlib
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import grimp
import tomllib
from importlinter.cli import lint_imports_command

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core" / "src" / "turnout"
PUBLIC = {"__init__", "plugin_api", "testing"}
"""What of the core anyone may import, beside the package itself."""
NAMED_BY_PYTHON = {"__init__.py", "__main__.py"}
MOST_ROOMS = 2
"""How many rooms of the core a file name may stand in."""
LIBRARIES = {"turnout_kubernetes"}
"""Packages that plugins share: each brings no component and imports no plugin."""


def packages() -> list[str]:
    """The packages beside the core in this repository, the sample plugin's among them."""
    sources = [*ROOT.glob("plugins/*/src/turnout_*"), *ROOT.glob("tests/sample_plugin/src/turnout_*")]
    return sorted(source.name for source in sources)


def plugins() -> list[str]:
    """Those that are plugins."""
    return [name for name in packages() if name not in LIBRARIES]


def private_modules() -> list[str]:
    """The modules of the core that are nobody's but its own."""
    names = {path.stem for path in CORE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    return [f"turnout.{name}" for name in sorted(names - PUBLIC)]


def settings() -> dict[str, dict[str, Any]]:
    """The sections of import-linter's own file, by name."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    contracts = {contract.pop("id"): contract for contract in table.pop("contracts")}
    table["root_packages"] = ["turnout", *packages()]
    contracts["plugins-apart"]["modules"] = plugins()
    contracts["libraries"]["source_modules"] = sorted(LIBRARIES)
    contracts["libraries"]["forbidden_modules"] = plugins()
    contracts["public-core"]["protected_modules"] = private_modules()
    return {"importlinter": table, **{f"importlinter:contract:{name}": one for name, one in contracts.items()}}


def write(folder: Path) -> Path:
    """Write the contracts as a file of import-linter's into *folder*; return its path."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    for section, values in settings().items():
        parser[section] = {
            key: "\n" + "\n".join(value) if isinstance(value, list) else str(value) for key, value in values.items()
        }
    path = folder / "contracts.ini"
    with path.open("w", encoding="utf-8") as file:
        parser.write(file)
    return path


def circle() -> list[str]:
    """Modules that import one another in a circle, late imports among them; none where there is no such circle."""
    graph = grimp.build_graph("turnout", *packages(), exclude_type_checking_imports=True, cache_dir=None)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        graphlib.TopologicalSorter(imported).prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return []


def crowded_names(core: Path = CORE) -> dict[str, list[str]]:
    """The file names that stand in more than two rooms, with those files; a room's sub-folders belong to it."""
    by_name: defaultdict[str, list[Path]] = defaultdict(list)
    for path in sorted(core.glob("*/**/*.py")):
        if path.name not in NAMED_BY_PYTHON:
            by_name[path.name].append(path.relative_to(core))
    return {
        name: [path.as_posix() for path in paths]
        for name, paths in by_name.items()
        if len({path.parts[0] for path in paths}) > MOST_ROOMS
    }


def broken_rules() -> str:
    """What import-linter has no contract for and is broken; empty where nothing is."""
    if modules := circle():
        return f"files import one another in a circle: {' -> '.join(modules)}"
    if crowded := crowded_names():
        listed = "\n".join(f"  {name}: {', '.join(paths)}" for name, paths in crowded.items())
        return (
            f"a file name stands in more than {MOST_ROOMS} rooms of the core, so that it says too little:\n{listed}\n"
            "name the new file by its own subject, as docs/architecture.md says"
        )
    return ""


if __name__ == "__main__":
    if problem := broken_rules():
        sys.exit(problem)
    with tempfile.TemporaryDirectory() as folder:
        lint_imports_command(["--config", str(write(Path(folder))), *sys.argv[1:]])
