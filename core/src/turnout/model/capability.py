"""What a pipeline may ask of an orchestrator."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Literal


class Capability(str, Enum):
    """A thing a pipeline may ask of an orchestrator. The planner refuses what a stack's orchestrator does not have."""

    RETRIES = "retries"
    BACKOFF = "backoff"
    TIMEOUT = "timeout"
    SCHEDULE = "schedule"
    ASSET_SCHEDULE = "asset_schedule"
    CATCHUP = "catchup"
    MAP = "map"
    GATE = "gate"
    GROUP = "group"
    CPU = "cpu"
    MEMORY = "memory"
    GPU = "gpu"
    ACCELERATOR = "accelerator"
    REQUIREMENTS = "requirements"
    SECRETS = "secrets"
    ENV = "env"
    LOGICAL_TIME = "logical_time"
    INTERVAL = "interval"
    PARAMS = "params"
    TAGS = "tags"
    DOCS = "docs"
    BY_VALUE = "by_value"


Support = Literal["native", "emulated", "refused"]

BY_RUNTIME: Mapping[Capability, Support] = {
    **dict.fromkeys(Capability, "refused"),
    Capability.GATE: "emulated",
    Capability.GROUP: "emulated",
    Capability.CPU: "emulated",
    Capability.REQUIREMENTS: "emulated",
    Capability.SECRETS: "emulated",
    Capability.ENV: "emulated",
    Capability.LOGICAL_TIME: "emulated",
    Capability.PARAMS: "emulated",
    Capability.TAGS: "emulated",
    Capability.DOCS: "emulated",
    Capability.BY_VALUE: "emulated",
}
"""What any engine has that makes the runtime's call for each step: the runtime does it. An engine adds what it does."""
