"""What a docstring says of parameters: the ``Args:`` section, as Google's style writes it."""

from __future__ import annotations

import re

_SECTION = re.compile(r"(Args|Arguments|Parameters):\s*\Z")
_ENTRY = re.compile(r"(\s+)\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)\Z")


def parameters(doc: str) -> dict[str, str]:
    """The text on each parameter, its lines joined; none for a docstring without such a section."""
    paragraphs: dict[str, list[str]] = {}
    lines = iter(doc.splitlines())
    if not any(_SECTION.match(line) for line in lines):
        return {}
    indent: int | None = None
    texts: list[str] | None = None
    for line in lines:
        if line.strip() and not line[0].isspace():
            break
        entry = _ENTRY.match(line)
        depth = len(line) - len(line.lstrip())
        if entry and (indent is None or depth == indent):
            indent = depth
            texts = paragraphs.setdefault(entry[2], [])
            texts.append(entry[3])
        elif texts is not None and line.strip() and indent is not None and depth > indent:
            texts.append(line.strip())
    return {name: " ".join(texts).strip() for name, texts in paragraphs.items()}
