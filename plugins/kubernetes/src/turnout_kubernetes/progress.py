"""How far a deployment is: what the tool's conditions say, and what is the matter with its pods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

Document = dict[str, Any]
_HOPELESS = {
    "CrashLoopBackOff", "CreateContainerConfigError", "CreateContainerError", "ErrImageNeverPull", "ErrImagePull",
    "ImagePullBackOff", "InvalidImageName", "RunContainerError",
}  # fmt: skip
"""Why a container waits that will not start by itself."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool says of an endpoint: how far it is, where it answers, and what it is waiting for."""

    phase: Literal["starting", "ready", "failed"]
    url: str = ""
    message: str = ""


class Complaint(msgspec.Struct, frozen=True, kw_only=True):
    """What is the matter with a container, and whether it has left a log."""

    pod: str
    container: str
    text: str
    logged: bool


def observed(document: Document) -> bool:
    """Whether the tool has seen the object as it is now."""
    generation = document["metadata"].get("generation")
    seen = document.get("status", {}).get("observedGeneration")
    return seen is None or generation is None or bool(seen >= generation)


def lives(pod: Document) -> bool:
    """Whether a pod is there to stay: neither being taken away, nor at its end, as one that was evicted."""
    ended = pod.get("status", {}).get("phase") in {"Failed", "Succeeded"}
    return not ended and "deletionTimestamp" not in pod["metadata"]


def answers(pod: Document) -> bool:
    """Whether a pod is ready."""
    return conditions(pod).get("Ready", {}).get("status") == "True"


def conditions(document: Document) -> dict[str, Document]:
    """The conditions of an object by their types."""
    return {one["type"]: one for one in document.get("status", {}).get("conditions", [])}


def messages(found: Mapping[str, Document]) -> str:
    """What conditions that do not hold say."""
    told = []
    for name, one in found.items():
        if one.get("status") != "True":
            text = one.get("message") or one.get("reason")
            told.append(f"{name}: {text}" if text else f"{name} is {one.get('status')}")
    return "; ".join(told)


def complaint(pods: Iterable[Document]) -> Complaint | None:
    """What keeps one of the pods from starting; None where nothing does for good."""
    for pod in pods:
        status = pod.get("status", {})
        for one in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
            waiting = one.get("state", {}).get("waiting", {})
            ended = one.get("lastState", {}).get("terminated") or one.get("state", {}).get("terminated")
            reason = waiting.get("reason", "")
            if reason in _HOPELESS:
                text = f"{one['name']} of the pod {pod['metadata']['name']} waits: {reason}"
                if waiting.get("message"):
                    text += f": {waiting['message']}"
                if ended is not None:
                    text += f"; it ended with {ended.get('exitCode')}"
                return Complaint(
                    pod=pod["metadata"]["name"], container=one["name"], text=text, logged=ended is not None
                )
    return None
