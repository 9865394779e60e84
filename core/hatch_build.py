"""Packs the sample plugin, which `turnout plugin new` writes under another name."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SamplePlugin(BuildHookInterface):
    """Takes it from the tests of a checkout, or from where an sdist has it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        checkout = root.parent / "tests" / "sample_plugin"
        source = checkout if checkout.is_dir() else root / "sample_plugin"
        target = "sample_plugin" if self.target_name == "sdist" else "turnout/cli/sample_plugin"
        build_data["force_include"][str(source)] = target
