"""What Prometheus and Grafana take to watch endpoints: a configuration, recording rules, alerts, a dashboard."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from turnout.components.deployer import EndpointStatus

FILES = ("prometheus.yml", "recording.yml", "alerts.yml", "dashboard.json")
TARGETS = "targets.json"
"""Which endpoints there are, for Prometheus' ``file_sd_configs``: it reads the file again whenever it changes."""


RULES = ("recording.yml", "alerts.yml")


@cache
def rule_groups() -> tuple[dict[str, Any], ...]:
    """The groups of recording rules and of alerts, as files of rules have them: to be written in another form."""
    import yaml  # not where only targets are written

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    texts = [Path(__file__).with_name(name).read_text(encoding="utf-8") for name in RULES]
    return tuple(group for text in texts for group in yaml.load(text, loader)["groups"])  # noqa: S506 - a safe one


def export(folder: Path, endpoints: Iterable[EndpointStatus]) -> Iterator[tuple[Path, bool]]:
    """Write the files into *folder*, and say of each whether it was written: what a user has there already stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        path, data = folder / name, Path(__file__).with_name(name).read_bytes()
        is_new = not path.exists()
        if is_new:
            path.write_bytes(data)
        yield path, is_new
    path = folder / TARGETS
    written = path.with_name(f".{TARGETS}")
    written.write_text(json.dumps(targets(endpoints), indent=1) + "\n")
    written.replace(path)
    yield path, True


def targets(endpoints: Iterable[EndpointStatus]) -> list[dict[str, list[str]]]:
    """The addresses of endpoints that have one, as Prometheus takes them."""
    addresses = [urlsplit(status.url).netloc for status in endpoints if status.url]
    return [{"targets": [address]} for address in addresses if address]
