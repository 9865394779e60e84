"""Whether two runs came to the same: every state, skip, element count and artifact."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from turnout.api.run import Run
from turnout.base import names
from turnout.model.records import Artifact, OutputRecord, Record, RunState


class Difference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing in which two runs differ: the step (``step.index`` for an element), what of it, and both sides."""

    step: str
    what: str
    left: str
    right: str

    def __str__(self) -> str:
        return f"{self.step}: {self.what} differs: {self.left} and {self.right}"


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was compared: steps, artifacts equal by digest, artifacts equal by their comparator, and differences.

    ``states`` are those of the two runs; ``unmade`` the labels of steps that neither has committed.
    """

    states: tuple[RunState, RunState]
    steps: int
    by_digest: int
    by_comparator: int
    differences: tuple[Difference, ...]
    unmade: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether both runs have succeeded and come to the same: a run that failed is equal to nothing."""
        return not self.differences and set(self.states) == {"succeeded"}


class _Tally:
    def __init__(self) -> None:
        self.by_digest = 0
        self.by_comparator = 0


def verify(left: Run, right: Run) -> Verified:
    """Compare two runs of one pipeline, from any stacks: each artifact by its digest, else by its comparator.

    Steps are compared in the order of the left run's plan, so that the first difference is the one the others may
    follow from. An uncommitted step counts as failed on both sides, whatever its engine called it.
    """
    tally = _Tally()
    places = list(dict.fromkeys([*_places(left), *_places(right)]))
    with tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        found = [one for place in places for one in _compare(left, right, place, tally, Path(folder))]
    return Verified(
        states=(left.state, right.state),
        steps=len(places),
        by_digest=tally.by_digest,
        by_comparator=tally.by_comparator,
        differences=tuple(found),
        unmade=tuple(names.label(*place) for place in places if not _record(left, place) and not _record(right, place)),
    )


def _places(run: Run) -> Iterator[tuple[str, int | None]]:
    """Every step of a run, each element of a mapped one that left a record."""
    for step in run.plan.steps:
        elements = sorted(index for name, index in run.summaries if name == step.name and index is not None)
        if elements:
            yield from ((step.name, index) for index in elements)
        else:
            yield step.name, None


def _record(run: Run, place: tuple[str, int | None]) -> Record | None:
    summary = run.summaries.get(place)
    return None if summary is None else summary.record


def _compare(left: Run, right: Run, place: tuple[str, int | None], tally: _Tally, folder: Path) -> Iterator[Difference]:
    one, other = _record(left, place), _record(right, place)
    label = names.label(*place)
    states = tuple("failed" if record is None else record.state for record in (one, other))
    if states[0] != states[1]:
        yield Difference(step=label, what="the state", left=states[0], right=states[1])
    if one is None or other is None or states[0] != states[1]:
        return
    if one.reason != other.reason:
        yield Difference(step=label, what="the reason", left=one.reason, right=other.reason)
    if one.value != other.value:
        yield Difference(step=label, what="the decision", left=str(one.value).lower(), right=str(other.value).lower())
    for name in sorted({*one.outputs, *other.outputs}):
        mine, theirs = one.outputs.get(name), other.outputs.get(name)
        if mine is None or theirs is None:
            sides = ["missing" if side is None else "there" for side in (mine, theirs)]
            yield Difference(step=label, what=f"the output {name}", left=sides[0], right=sides[1])
        else:
            yield from _outputs(left, right, label, name, (mine, theirs), tally, folder)


def _outputs(
    left: Run,
    right: Run,
    label: str,
    name: str,
    both: tuple[OutputRecord, OutputRecord],
    tally: _Tally,
    folder: Path,
) -> Iterator[Difference]:
    mine, theirs = (one.artifacts for one in both)
    if len(mine) != len(theirs):
        what = f"the count of elements of {name}"
        yield Difference(step=label, what=what, left=str(len(mine)), right=str(len(theirs)))
        return
    for number, (one, other) in enumerate(zip(mine, theirs, strict=True)):
        if one.digest == other.digest:
            tally.by_digest += 1
        elif left.artifacts.equal_to(one, right.artifacts, other, folder):
            tally.by_comparator += 1
        else:
            which = name if both[0].elements is None else f"{name}[{number}]"
            yield Difference(step=label, what=f"the output {which}", left=_shown(one), right=_shown(other))


def _shown(artifact: Artifact) -> str:
    """An artifact for a message: its value where it is small, else its digest, kind and size."""
    if artifact.inline:
        text = repr(artifact.value)
        return text if len(text) <= 60 else text[:57] + "..."
    return f"{artifact.digest[:12]} ({artifact.materializer}, {artifact.size} bytes)"
