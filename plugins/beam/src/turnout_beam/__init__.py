"""turnout on Apache Beam: the orchestrator ``beam``, :class:`Job`, which its job files are written with, and
:func:`model_handler`, by which ``RunInference`` answers as an endpoint does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from turnout.plugin_api import Lazy, hookimpl, late

if TYPE_CHECKING:
    from turnout_beam.inference import model_handler
    from turnout_beam.job import Job
else:
    __getattr__, __dir__ = late(__name__)

__all__ = ["Job", "model_handler"]


@hookimpl
def turnout_orchestrators() -> tuple[Lazy, ...]:
    """The orchestrator ``beam``."""
    return (Lazy("beam", "turnout_beam.orchestrator:BeamOrchestrator"),)
