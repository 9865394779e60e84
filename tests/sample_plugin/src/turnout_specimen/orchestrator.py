"""The orchestrator ``specimen``: steps one by one, each in a process of its own. Replace it by your engine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from turnout.plugin_api import (
    BY_RUNTIME,
    ENGINE_RUN,
    Bundle,
    Capability,
    DriverOrchestrator,
    DriverSettings,
    Graph,
    LocalPath,
    Plan,
    Support,
    call,
    end_with_driver,
    pretty,
)


class SpecimenSettings(DriverSettings, frozen=True):
    """Settings of the orchestrator ``specimen``."""

    folder: Annotated[LocalPath, msgspec.Meta(description="Where runs keep their files, and the steps' logs lie.")] = (
        ".turnout/specimen"
    )


class SpecimenOrchestrator(DriverOrchestrator[SpecimenSettings]):
    """Decides when a step runs: in the order of the plan, whose steps come after what they need."""

    name = "specimen"
    local = True
    Config = SpecimenSettings
    capabilities: ClassVar[Mapping[Capability, Support]] = {**BY_RUNTIME, Capability.MAP: "native"}

    def compile(self, plan: Plan) -> Bundle:
        """The steps with, for a mapped one, the step and the output whose elements it runs for."""
        roots = Graph(plan).roots
        steps = [{"name": step.name, "over": roots.get(step.name)} for step in plan.steps]
        return Bundle(files={"steps.json": pretty({"plan": plan.digest, "steps": steps})}, entrypoint="steps.json")

    def command(self, plan: Plan, folder: Path) -> Sequence[str]:
        return [sys.executable, "-m", __name__, str(folder)]


def main(folder: Path) -> None:
    """The engine: a process that the driver of a run starts, and stops."""
    end_with_driver()
    bundle = json.loads((folder / "steps.json").read_bytes())
    lengths: dict[tuple[str, ...], int] = {}
    for step in bundle["steps"]:
        length = lengths.get(tuple(step["over"] or ()))
        for index in [None] if length is None else range(length):
            result = call(bundle["plan"], os.environ[ENGINE_RUN], step=step["name"], index=index).result
            elements = result.elements if result is not None else {}
            lengths.update({(step["name"], output): count for output, count in elements.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
