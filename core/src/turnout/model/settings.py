"""The settings of a step: each is declared here, once, at the field of the spec and the plan that holds it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from turnout.base.durations import IN_UNITS
from turnout.model import checks
from turnout.model.capability import Capability
from turnout.model.declared import Setting

LONGEST_WAIT = 10 * 366 * 86_400.0
"""Seconds: ten years, what the timers of all engines can hold."""
Duration = str | float
"""A span of time as a stack file writes it: ``"1h30m"``, or a number of seconds."""


class Retry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How often a failed step is tried again, after ``delay * backoff**n`` seconds, ``max_delay`` at most.

    ``never`` is a count of 0 that was asked for: where nothing is said, an engine's own default may count.
    """

    count: Annotated[
        int,
        Setting(
            name="retries",
            about="How often a failed step is tried again.",
            accepts=Annotated[int, Meta(ge=0, le=10_000)],
            wanted="a whole number from 0 to 10,000",
            example="2",
            in_stack=True,
            fields=lambda count: {"count": count, "never": count == 0},
            capability=Capability.RETRIES,
            asks="retries",
        ),
    ] = 0
    delay: Annotated[
        float,
        Setting(
            name="retry_delay",
            about='The time before the first retry: "10s", or a number of seconds.',
            accepts=Duration,
            check=checks.delay,
            wanted="a span of time",
            example='"10s"',
            fix=IN_UNITS,
            in_stack=True,
        ),
    ] = 0.0
    backoff: Annotated[
        float,
        Setting(
            name="retry_backoff",
            about="The factor between one delay and the next.",
            accepts=Annotated[float, Meta(ge=1, le=100)],
            wanted="a factor from 1 to 100",
            example="2.0",
            in_stack=True,
            capability=Capability.BACKOFF,
            asks="a growing delay between retries",
            needs="count",
        ),
    ] = 1.0
    max_delay: float | None = None
    never: bool = False

    def wait(self, retry: int) -> float:
        """The seconds to wait before retry number *retry*, from 1."""
        longest = LONGEST_WAIT if self.max_delay is None else self.max_delay
        try:
            return float(min(self.delay * self.backoff ** (retry - 1), longest))
        except OverflowError:
            return longest

    @property
    def problem(self) -> str | None:
        """What is wrong with a last delay that is longer than any engine can wait, or None."""
        bearable = self.wait(max(self.count, 1)) < LONGEST_WAIT
        return None if bearable else "the delay before the last retry would be ten years or more"


class Resources(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a step needs.

    ``cpu`` is in cores (rounded up it is also the number of threads libraries may use; one where nothing is asked for),
    ``memory`` in bytes or as Kubernetes writes it (``"4Gi"``), ``gpu`` a count and ``accelerator`` its type.
    """

    cpu: Annotated[
        float | None,
        Setting(
            about="Cores.",
            accepts=Annotated[float, Meta(gt=0, lt=100_000)],
            wanted="a number of cores above 0",
            example="0.5",
            in_stack=True,
            capability=Capability.CPU,
            asks="{:g} cores",
        ),
    ] = None
    memory: Annotated[
        int | str,
        Setting(
            about='Bytes, or as Kubernetes writes it: "4Gi".',
            check=checks.memory,
            wanted="bytes, or a text with a unit",
            example='"4Gi"',
            in_stack=True,
            capability=Capability.MEMORY,
            asks="{} of memory",
        ),
    ] = 0
    gpu: Annotated[
        int,
        Setting(
            about="The count of GPUs.",
            accepts=Annotated[int, Meta(ge=0)],
            wanted="a whole number from 0",
            example="1",
            in_stack=True,
            capability=Capability.GPU,
            asks="{} GPU",
        ),
    ] = 0
    accelerator: Annotated[
        str | None,
        Setting(
            about="The type of the GPUs.",
            wanted="a name",
            example='"nvidia-l4"',
            in_stack=True,
            capability=Capability.ACCELERATOR,
            asks="an accelerator of type {}",
        ),
    ] = None

    @property
    def cores(self) -> float:
        """The cores that the step is taken to use."""
        return 1.0 if self.cpu is None else self.cpu


class StepSettings(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True, forbid_unknown_fields=True
):
    """The settings that a step's definition and its plan both have; what only the definition has is declared there.

    ``options`` are those of engines, by the engine's name; in a plan they are validated.
    """

    retry: Retry = Retry()
    timeout: Annotated[
        float | None,
        Setting(
            about='The longest one attempt may take: "1h30m", or a number of seconds; empty for no limit.',
            accepts=Duration | None,
            check=checks.span,
            wanted="a span of time",
            example='"1h30m"',
            fix=IN_UNITS,
            in_stack=True,
            capability=Capability.TIMEOUT,
            asks="a timeout",
        ),
    ] = None
    resources: Annotated[
        Resources,
        Setting(
            about="What the step needs of a machine.",
            wanted="a Resources",
            example='Resources(cpu=2, memory="4Gi")',
            in_stack=True,
        ),
    ] = Resources()
    image: Annotated[
        str | None,
        Setting(
            about="The container image, where the orchestrator uses one.",
            accepts=Annotated[str, Meta(min_length=1)],
            in_python=False,
            in_stack=True,
        ),
    ] = None
    secrets: Annotated[
        dict[str, str],
        Setting(
            about="Environment variables, each with the name of the secret it gets.",
            check=checks.secrets,
            capability=Capability.SECRETS,
            asks="secrets",
        ),
    ] = {}
    env: Annotated[
        tuple[str, ...],
        Setting(
            about="Variables of the worker that the step sees; a stack adds to them.",
            check=checks.variables,
            wanted="a list of texts",
            example='["REGION"]',
            in_stack=True,
            adds=True,
            capability=Capability.ENV,
            asks="environment variables",
        ),
    ] = ()
    cache: Annotated[
        bool | float | None,
        Setting(
            about='Whether, or for how long ("12h"), results are used again.',
            accepts=bool | Duration,
            check=checks.cache,
            wanted="a span of time",
            example='"12h"',
            fix=IN_UNITS,
            in_stack=True,
        ),
    ] = None
    profile: Annotated[
        bool,
        Setting(
            about="Whether records say what the tables it makes are like.",
            wanted="True or False",
            example="False",
            in_stack=True,
        ),
    ] = True
    batchable: Annotated[
        bool,
        Setting(
            about="Whether an endpoint may answer the rows of several requests by one call.",
            wanted="True or False",
            example="True",
        ),
    ] = False
    options: dict[str, Any] = {}
