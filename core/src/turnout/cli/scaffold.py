"""A new plugin: a package of five files that installs and whose tests pass at once."""

from __future__ import annotations

import re
from importlib import resources
from typing import NamedTuple

from turnout import __version__
from turnout.base.errors import ConfigError
from turnout.components.registry import KINDS

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
_PLACE = re.compile(r"@([A-Za-z]+)@")
_SECTIONS = {
    "orchestrator": "orchestrator: {type: @name@, logs: .turnout/@name@}",
    "artifact_store": "artifact_store: {type: @name@, root: .turnout/@name@.db}",
    "feature_store": "feature_store: {type: @name@, folder: features}",
    "deployer": "deployer: {type: @name@, folder: .turnout/@name@}",
    "tracker": "tracker: {type: @name@, folder: .turnout/@name@}",
    "observer": "observers: [{type: @name@, folder: .turnout/@name@}]",
    "secret_store": "secrets: {type: @name@, file: .turnout/@name@.json}",
    "policy": "policies: [{type: @name@, retries: 3}]",
}
"""How a stack names a component of each kind; materializers and commands are there wherever they are installed."""


class NewPlugin(NamedTuple):
    """A plugin to write: the name of its component, and the component's kind."""

    name: str
    kind: str

    @property
    def package(self) -> str:
        """The package to import."""
        return f"turnout_{self.name.replace('-', '_')}"

    def files(self) -> dict[str, str]:
        """The texts of its files by their relative paths.

        Raises:
            ConfigError: when the name cannot be one of a package.
        """
        if not _NAME.match(self.name):
            raise ConfigError(
                f"{self.name!r} cannot name a plugin",
                why="it becomes a package, turnout-NAME, and the `type` in a stack",
                fix="use lower-case letters and digits, and '-' between words",
            )
        test = f"tests/test_{self.name.replace('-', '_')}_{self.kind}.py"
        files = {
            "pyproject.toml": self._text("pyproject.toml"),
            f"src/{self.package}/__init__.py": self._text("__init__.py"),
            f"src/{self.package}/{self.kind}.py": self._text(f"{self.kind}.py"),
            test: self._text(f"test_{self.kind}.py"),
        }
        if self.kind in _SECTIONS:
            files[f"stacks/{self.name}.yaml"] = self._text("stack.yaml")
        return files

    def _text(self, template: str) -> str:
        text = resources.files("turnout.cli").joinpath("templates", f"{template}.txt").read_text(encoding="utf-8")
        return self._filled(text)

    def _filled(self, text: str) -> str:
        return _PLACE.sub(lambda match: self._filled(self._values()[match[1]]), text)

    def _values(self) -> dict[str, str]:
        class_ = "".join(word.capitalize() for word in self.name.split("-"))
        identifier = self.name.replace("-", "_")
        kind = "".join(word.capitalize() for word in self.kind.split("_"))
        return {
            "name": self.name,
            "identifier": identifier,
            "package": self.package,
            "Class": class_,
            "kind": self.kind,
            "noun": self.kind.replace("_", " "),
            "component": identifier if self.kind == "command" else f"{class_}{kind}",
            "hook": KINDS[self.kind],
            "section": _SECTIONS.get(self.kind, ""),
            "version": ".".join(__version__.split(".")[:2]),
        }
