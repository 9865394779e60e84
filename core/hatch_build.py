"""Packs what `turnout init` and `turnout plugin new` write from: files of the repository, kept once."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("examples/first", "tests/sample_plugin")


class Samples(BuildHookInterface):
    """Takes them from the checkout, or from where a source distribution has them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        source = root / "repository" if (root / "repository").is_dir() else root.parent
        target = "repository" if self.target_name == "sdist" else "turnout/cli/repository"
        for folder in FOLDERS:
            for path in (source / folder).rglob("*"):
                name = path.relative_to(source)
                if path.is_file() and not any(part.startswith((".", "__")) for part in name.parent.parts):
                    build_data["force_include"][str(path)] = f"{target}/{name.as_posix()}"
