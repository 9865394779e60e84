"""Writes docs/capabilities.md from what the components say of themselves."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

from turnout.cli.capabilities import markdown
from turnout.components.discovery import GROUP
from turnout.components.registry import Registry

PAGE = Path(__file__).with_name("capabilities.md")
HEAD = """\
# What each component can do

Made from the code by `make docs`; for what is installed here, `turnout plugin list --capabilities` says the same.

- **native**: the tool does it itself, and its own UI shows it.
- **emulated**: turnout does it, with the same result.
- **refused**: planning stops with the line that asks for it, unless it is accepted by name: `--accept gpu`, or
  `accept: [gpu]` in the stack. A schedule is the exception: `run` ignores it with a note.

"""
NOT_SHIPPED = {"turnout-specimen"}
"""Plugins of the tests."""


def text() -> str:
    """The page's text."""
    found = [entry for entry in entry_points(group=GROUP) if entry.dist and entry.dist.name not in NOT_SHIPPED]
    return HEAD + markdown(Registry(sorted(found, key=lambda entry: (entry.name != "turnout", entry.name))))


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
