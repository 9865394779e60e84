"""The contract of trackers: what steps log, in the team's own tool."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import msgspec

from turnout.base import names
from turnout.base.errors import UnsupportedError
from turnout.components.base import Component, Config, ConfigT
from turnout.model.records import Artifact, Point, RunInfo, RunState


class Traced(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact that a step read or made.

    ``name`` is the argument's or the output's, with ``[n]`` for an element of a list; ``step`` and ``output`` say what
    made it; ``step`` is None for a file given as a parameter, which ``output`` then names. ``address`` is where its
    files lie. ``files`` gives a folder with its files,
    verified, there until the batch is sent and not to be changed; ``load`` the value itself, made anew, which needs
    the packages it is made of.
    """

    name: str
    artifact: Artifact
    step: str | None
    output: str
    address: str
    files: Callable[[], Path]
    load: Callable[[], Any]


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt at one step logged since the last batch.

    A point is named by run, step, index, attempt and its sequence: sending it a second time changes nothing.
    ``artifacts`` maps a name to a local file or folder that is there until the call returns. ``tags`` are the run's,
    not the step's: by their names, written as they are, other tools find the run in this one; a tool without tags
    leaves them out. ``inputs`` and ``outputs`` are those artifacts of a step that has succeeded which
    :meth:`Tracker.traces` asks for.
    """

    run: RunInfo
    external_id: str
    step: str
    index: int | None = None
    attempt: str
    points: tuple[Point, ...] = ()
    params: dict[str, Any] = {}
    artifacts: dict[str, Path] = {}
    tags: dict[str, str] = {}
    inputs: tuple[Traced, ...] = ()
    outputs: tuple[Traced, ...] = ()

    @property
    def held(self) -> tuple[Point, ...]:
        """The points whose positions fit into 64 bits, which is what most tools can hold."""
        return tuple(filter(_fits, self.points))

    def refuse_rest(self, tool: str) -> None:
        """Say which points a tool that takes :attr:`held` does not get; to be called when all else was sent.

        Raises:
            UnsupportedError: when there are any. They are on record, and a point that cannot be held costs no other.
        """
        rest = [point for point in self.points if not _fits(point)]
        if rest:
            label = names.label(self.step, self.index)
            first, more = rest[0], f" and {len(rest) - 1} more" if len(rest) > 1 else ""
            raise UnsupportedError(
                f"{tool} cannot hold the point {first.name} of {label} at x={first.x}{more}",
                why="a position there is a whole number of 64 bits",
                fix="log smaller positions; the points are on the step's record",
            )


def _fits(point: Point) -> bool:
    return point.x is None or -(2**63) <= point.x < 2**63


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """An output of a committed step that gets an alias, as a registry of models is told of it.

    ``index`` is the element's of a mapped step. ``files`` is a folder with the artifact's files, verified, there until
    the call returns and not to be changed; ``load`` gives the value itself, made anew, and needs the packages it is
    made of. ``metrics`` are the last values of what the step logged, ``tags`` those of the run's batches.
    """

    run: RunInfo
    external_id: str
    alias: str
    step: str
    index: int | None = None
    output: str
    artifact: Artifact
    metrics: dict[str, float] = {}
    tags: dict[str, str] = {}
    files: Path
    load: Callable[[], Any]


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry has under an alias: its own name of it, and the artifact of ours that it stands for.

    ``run`` is the id of our run; ``index`` the element's of a mapped step; ``digest`` the artifact's.
    """

    name: str
    run: str
    step: str
    index: int | None = None
    output: str
    digest: str


class TrackerConfig(Config, frozen=True, kw_only=True):
    """The base of the settings of trackers; these the runtime itself heeds."""

    required: Annotated[bool, msgspec.Meta(description="Whether a step fails where what it logged cannot be sent.")] = (
        False
    )
    flush_seconds: Annotated[
        float,
        msgspec.Meta(description="Seconds after which what a running step has logged is sent; 0: when it ends.", ge=0),
    ] = 5.0
    flush_points: Annotated[
        int, msgspec.Meta(description="How many points are sent at once without waiting for that time.", ge=1)
    ] = 1000


class Tracker(Component[ConfigT], ABC):
    """Receives what steps log. Called beside workers, from one thread at a time; many workers of a run at once.

    A tracker whose tool has a registry of models also implements :meth:`register` and :meth:`resolve`, which are
    called where someone promotes an artifact or asks for one by its alias. By default there is no registry.
    """

    @abstractmethod
    def begin(self, run: RunInfo, *, claimed: bool) -> str:
        """Create the tool's run, or find it, and return its id there.

        The core elects one worker of a run to call with ``claimed=True`` and stores the id it returns; the
        others are given that id and do not call. Where the elected one died before its id was stored, another
        calls with ``claimed=False``: look for a run of this id before creating one.
        """

    @abstractmethod
    def log(self, batch: Batch) -> None:
        """Send a batch; idempotent.

        What the tool cannot hold must cost nothing else: send the rest, then raise.

        Raises:
            UnsupportedError: when all has been sent but what the tool can never take, naming that.
        """

    @abstractmethod
    def finish(self, run: RunInfo, external_id: str, state: RunState) -> None:
        """Say how the run ended; may be called again after a later resume."""

    def traces(self, artifact: Artifact, *, made: bool) -> bool:
        """Whether the tracker wants to be told of an artifact that a step read or, with *made*, made. Asked often: an
        answer needs the record alone, not the tool. By default of none."""
        return False

    def page(self, external_id: str) -> str | None:
        """The address at which people see the tool's run, where it has one. Asked once, on a worker."""
        return None

    def around(self) -> AbstractContextManager[None]:
        """What surrounds the call of a step's function, in the step's own process. Values that the tool finds by
        itself there are logged by ``turnout.log_metric`` and its like. By default nothing."""
        return nullcontext()

    def register(self, promotion: Promotion) -> str | None:
        """Give an output the alias in the tool's registry, entering it there if need be.

        Called again for the same output and alias, it enters nothing a second time; the alias then stands for the
        output again. :meth:`begin` has given the external id before.

        Returns:
            What the registry calls it (``models:/flights@champion``); None where it has no place for such a thing.
        """
        return None

    def resolve(self, project: str, alias: str) -> Registered | None:
        """What the registry now has under an alias of a project, whoever set it there; None where it has nothing,
        or something that is not of ours."""
        return None
