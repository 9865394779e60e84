"""A new plugin: one kind's files of the sample plugin, renamed; it installs, and its tests pass at once."""

from __future__ import annotations

import re
from typing import NamedTuple

from turnout.base.errors import ConfigError
from turnout.cli.samples import sample
from turnout.components.registry import KINDS
from turnout.stack.merge import COMPONENTS, LISTS

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
_SAMPLE = "tests/sample_plugin"
_SPECIMEN = re.compile(r"turnout_specimen|specimen|Specimen")


class NewPlugin(NamedTuple):
    """A plugin to write: the name of its component, and the component's kind."""

    name: str
    kind: str

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
        identifier = self.name.replace("-", "_")
        files = {
            "pyproject.toml": sample(f"{_SAMPLE}/pyproject.toml"),
            f"src/turnout_{identifier}/__init__.py": self._hook(sample(f"{_SAMPLE}/src/turnout_specimen/__init__.py")),
            f"src/turnout_{identifier}/{self.kind}.py": sample(f"{_SAMPLE}/src/turnout_specimen/{self.kind}.py"),
            f"tests/test_{identifier}_{self.kind}.py": sample(f"{_SAMPLE}/tests/test_specimen_{self.kind}.py"),
        }
        section = next((name for name, kind in {**COMPONENTS, **LISTS}.items() if kind == self.kind), None)
        if section:  # a stack names no materializer and no command: they are there wherever they are installed
            files[f"src/turnout_{identifier}/stacks/{self.name}.yaml"] = _stack(
                sample(f"{_SAMPLE}/stacks/specimen.yaml"), section
            )
        names = {
            "turnout_specimen": f"turnout_{identifier}",
            "specimen": self.name,
            "Specimen": "".join(word.capitalize() for word in self.name.split("-")),
        }
        return {path: _SPECIMEN.sub(lambda match: names[match[0]], text) for path, text in files.items()}

    def _hook(self, text: str) -> str:
        head, *hooks = text.split("\n\n\n")
        return "\n\n\n".join([head, *(hook for hook in hooks if f"def {KINDS[self.kind]}(" in hook)]).rstrip() + "\n"


def _stack(text: str, section: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:2], *(line for line in lines if line.startswith(f"{section}:"))])
