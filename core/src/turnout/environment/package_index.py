"""Where packages come from: a stack's package index, its folders of wheels, or no network at all; told to uv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def variables(settings: Mapping[str, Any], base: Path) -> dict[str, str]:
    """The variables by which uv goes by a stack's settings, which have no references any more.

    They are variables and not arguments, for these can be read by everyone on the machine.

    Args:
        base: the folder that relative folders of wheels start from.
    """
    found = {}
    if url := settings.get("index_url"):
        found["UV_DEFAULT_INDEX"] = url
    if urls := settings.get("extra_index_urls"):
        found["UV_INDEX"] = " ".join(urls)
    if links := settings.get("find_links"):
        found["UV_FIND_LINKS"] = ",".join(_places(links, base))
    if settings.get("offline"):
        found["UV_OFFLINE"] = "1"
    return found


def _places(links: Sequence[str], base: Path) -> list[str]:
    return [link if "://" in link else str(base / Path(link).expanduser()) for link in links]
