"""Run ids: derived the same way on every worker, from what all of them know."""

from __future__ import annotations

import base64
import hashlib

from turnout.base import canonical


def run_id(project: str, pipeline: str, instance: str, engine_run: str) -> str:
    """The id of a run: 20 lower-case letters and digits (100 bits) that follow from its engine's own id.

    Args:
        instance: the orchestrator's ``instance`` in the stack; an engine that was reset needs a new one.
        engine_run: the engine's own id of the run, any text, unique and durable in that instance.
    """
    data = canonical.encode([project, pipeline, instance, engine_run])
    return base64.b32encode(hashlib.sha256(data).digest())[:20].decode().lower()
