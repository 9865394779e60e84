"""The settings of the orchestrator, and how they become options of a job."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from turnout.plugin_api import DriverSettings, HostPort, LocalPath

Option = bool | int | float | str | tuple[str, ...]


class BeamSettings(DriverSettings, frozen=True):
    """Settings of the orchestrator ``beam``."""

    folder: Annotated[
        LocalPath, msgspec.Meta(description="Where jobs keep their files and the steps' logs lie, a folder a run.")
    ] = ".turnout/beam"
    runner: Annotated[
        str, msgspec.Meta(description="Beam's runner: DirectRunner, PortableRunner, FlinkRunner, DataflowRunner, …")
    ] = "DirectRunner"
    job_endpoint: Annotated[
        HostPort, msgspec.Meta(description="HOST:PORT of the job service that a portable runner submits to.")
    ] = ""
    isolation: Annotated[
        Literal["step", "process"],
        msgspec.Meta(description="What runs a step: a process forked from a warm one (step), or a new interpreter."),
    ] = "step"
    options: Annotated[
        dict[str, Option],
        msgspec.Meta(description="Further options of Beam by their names, such as direct_num_workers."),
    ] = msgspec.field(default_factory=dict)


def flags(settings: BeamSettings) -> list[str]:
    """The settings as words of a job's command line."""
    options: dict[str, Any] = {"runner": settings.runner}
    if settings.job_endpoint:
        options["job_endpoint"] = settings.job_endpoint
    words: list[str] = []
    for name, value in {**options, **settings.options}.items():
        if value is True:
            words.append(f"--{name}")
        elif value is not False:
            words += [f"--{name}={part}" for part in (value if isinstance(value, tuple) else (value,))]
    return words
