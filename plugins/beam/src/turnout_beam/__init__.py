"""turnout on Apache Beam: the orchestrator ``beam``, :class:`Job`, which its job files are written with, and
:func:`model_handler`, by which ``RunInference`` answers as an endpoint does."""

from __future__ import annotations

from turnout.plugin_api import Lazy, hookimpl
from turnout_beam.inference import model_handler
from turnout_beam.job import Job

__all__ = ["Job", "model_handler"]


@hookimpl
def turnout_orchestrators() -> tuple[Lazy, ...]:
    """The orchestrator ``beam``."""
    return (Lazy("beam", "turnout_beam.orchestrator:BeamOrchestrator"),)
