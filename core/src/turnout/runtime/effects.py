"""Steps that act on what lies outside the store: in which runs they do."""

from __future__ import annotations

from turnout.runtime.session import Session


def withheld(session: Session) -> str:
    """Why a step with an effect must not act in this run; empty where it may."""
    info = session.run.info
    if info.options.replace:
        return "values stand in for steps of this run"
    if info.options.reuse is not None:
        return f"this run takes over results of the run {info.options.reuse.run}"
    if not info.effects:
        return "this run is to change nothing outside its store; `turnout run --effects` lets it"
    if session.in_process:
        return "this run is not sealed: its steps run in the process that submitted it"
    return ""
