"""turnout on Apache Beam: the orchestrator ``beam``, and :class:`Job`, which its job files are written with."""

from __future__ import annotations

from turnout.plugin_api import Lazy, hookimpl
from turnout_beam.job import Job

__all__ = ["Job"]


@hookimpl
def turnout_orchestrators() -> tuple[Lazy, ...]:
    """The orchestrator ``beam``."""
    return (Lazy("beam", "turnout_beam.orchestrator:BeamOrchestrator"),)
