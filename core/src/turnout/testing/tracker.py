"""The suite a tracker must pass: everything that steps log arrives exactly once, whoever sends it and how often.

A plugin's test file is one class::

    class TestMyTracker(TrackerSuite):
        @pytest.fixture
        def tracker(self, tmp_path):
            return MyTracker(MyTracker.Config(uri=f"sqlite:///{tmp_path}/my.db"))

        @pytest.fixture
        def read_back(self, tracker):
            return lambda external_id: Tracked(points=…, params=…, artifacts=…, state=…)
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec
import pytest

from turnout.base import canonical
from turnout.base.errors import TurnoutError, UnsupportedError
from turnout.components.base import Component
from turnout.components.tracker import Batch, Tracker
from turnout.model.records import Point, RunInfo
from turnout.testing.component import ComponentSuite
from turnout.testing.plans import sample_run
from turnout.testing.processes import together


class Tracked(msgspec.Struct, frozen=True, kw_only=True):
    """What the tool has of a run.

    ``points`` are the points by the tool's name of their series, each a position (None where the tool has none) and
    a value, in the tool's order; ``params`` likewise, as the tool holds them; ``artifacts`` the bytes of the files of
    each by relative path; ``state`` is ``running`` until the run has ended.
    """

    points: dict[str, tuple[tuple[int | None, float], ...]] = {}
    params: dict[str, Any] = {}
    artifacts: dict[str, dict[str, bytes]] = {}
    state: str = "running"


ReadBack = Callable[[str], Tracked]


class Unreachable(NamedTuple):
    """A tracker whose tool does not answer, and the credential among its settings."""

    tracker: Tracker[Any]
    secret: str


class TrackerSuite(ComponentSuite):
    """Subclass it, name the subclass ``Test…`` and give the fixtures ``tracker`` and ``read_back``.

    Give ``unreachable`` too where the settings hold an address or a credential, and override :meth:`named` where the
    tool's names differ.
    """

    kind: ClassVar[str] = "tracker"

    @pytest.fixture
    def tracker(self) -> Tracker[Any]:
        """A tracker whose tool is empty, and that other processes can make by its class and config."""
        raise NotImplementedError("give the suite a fixture 'tracker'")

    @pytest.fixture
    def read_back(self) -> ReadBack:
        """Gives what the tool has of a run by its external id: a :class:`Tracked`."""
        raise NotImplementedError("give the suite a fixture 'read_back'")

    @pytest.fixture
    def unreachable(self) -> Unreachable | None:
        """A tracker whose tool does not answer, with a credential among its settings."""
        return None

    @pytest.fixture
    def component(self, tracker: Tracker[Any]) -> Component[Any]:
        """The tracker."""
        return tracker

    def named(self, step: str, index: int | None, name: str) -> str:
        """What the tool calls something that a step, or an element of a mapped one, logged."""
        return f"{step}/{name}" if index is None else f"{step}/{index}/{name}"

    def test_a_run_is_created_once_and_found_again(self, tracker: Tracker[Any], read_back: ReadBack) -> None:
        run = sample_run()
        external = tracker.begin(run, claimed=True)
        assert isinstance(external, str)
        assert external
        assert read_back(external) == Tracked()
        assert self._again(tracker).begin(run, claimed=False) == external

    def test_a_run_whose_creator_died_is_created_by_the_next(self, tracker: Tracker[Any], read_back: ReadBack) -> None:
        run = sample_run()
        external = tracker.begin(run, claimed=False)
        assert self._again(tracker).begin(run, claimed=False) == external
        assert read_back(external).state == "running"

    def test_each_run_is_its_own(self, tracker: Tracker[Any], read_back: ReadBack) -> None:
        runs = [sample_run("sample-1"), sample_run("sample-11"), sample_run("other-1", project="other")]
        externals = [tracker.begin(run, claimed=True) for run in runs]
        assert len(set(externals)) == len(runs)
        tracker.log(_batch(runs[0], externals[0], points=_points([1.0])))
        assert [len(read_back(external).points) for external in externals] == [1, 0, 0]

    def test_points_arrive_in_order_with_their_positions(self, tracker: Tracker[Any], read_back: ReadBack) -> None:
        run = sample_run()
        external = tracker.begin(run, claimed=True)
        values = [0.5, 0.25, -1e300, 3.0, 0.1 + 0.2]
        tracker.log(_batch(run, external, points=_points(values, positions=range(5))))
        assert read_back(external).points == {self.named("fit", None, "loss"): tuple(enumerate(values))}

    def test_points_without_positions_keep_their_order(self, tracker: Tracker[Any], read_back: ReadBack) -> None:
        run = sample_run()
        external = tracker.begin(run, claimed=True)
        values = [3.0, 1.0, 2.0, 2.0]
        tracker.log(_batch(run, external, points=_points(values)))
        assert [value for _, value in read_back(external).points[self.named("fit", None, "loss")]] == values

    def test_values_that_are_no_numbers_arrive(self, tracker: Tracker[Any], read_back: ReadBack) -> None:
        run = sample_run()
        external = tracker.begin(run, claimed=True)
        tracker.log(_batch(run, external, points=_points(["nan", "inf", "-inf", 1.0], positions=range(4))))
        found = [value for _, value in read_back(external).points[self.named("fit", None, "loss")]]
        assert math.isnan(found[0])
        assert found[1:] == [math.inf, -math.inf, 1.0]

    def test_sending_again_changes_nothing(self, tracker: Tracker[Any], read_back: ReadBack, tmp_path: Path) -> None:
        run = sample_run()
        external = tracker.begin(run, claimed=True)
        (tmp_path / "report.txt").write_text("fine")
        points, artifacts = _points([1.0, 2.0, 3.0, 4.0]), {"report": tmp_path / "report.txt"}
        tracker.log(_batch(run, external, points=points[:2], params={"depth": 6}, artifacts=artifacts))
        before = read_back(external)
        tracker.log(_batch(run, external, points=points[:2], params={"depth": 6}, artifacts=artifacts))
        self._again(tracker).log(_batch(run, external, points=points[:2], params={"depth": 6}))
        assert read_back(external) == before
        self._again(tracker).log(_batch(run, external, points=points))  # an answer was lost, and it starts over
        values = [value for _, value in read_back(external).points[self.named("fit", None, "loss")]]
        assert values == [1.0, 2.0, 3.0, 4.0]

    def test_equal_points_in_parts_all_arrive(self, tracker: Tracker[Any], read_back: ReadBack) -> None:
        """What a running step logs is sent in parts: what is equal in two of them was logged twice all the same."""
        run = sample_run()
        external = tracker.begin(run, claimed=True)
        points = _points([1.0, 1.0, 1.0, 1.0], positions=[0, 0, 1, 1])
        for part in (points[:1], points[1:3], points[3:]):
            tracker.log(_batch(run, external, points=part))
        self._again(tracker).log(_batch(run, external, points=points))
        found = sorted(read_back(external).points[self.named("fit", None, "loss")])
        assert found == [(0, 1.0), (0, 1.0), (1, 1.0), (1, 1.0)]

    def test_a_second_attempt_may_log_other_things(self, tracker: Tracker[Any], read_back: ReadBack) -> None:
        run = sample_run()
        external = tracker.begin(run, claimed=True)
        tracker.log(_batch(run, external, points=_points([1.0]), params={"depth": 6}))
        tracker.log(_batch(run, external, attempt="second", points=_points([2.0]), params={"depth": 7}))
        found = read_back(external)
        assert sorted(value for _, value in found.points[self.named("fit", None, "loss")]) == [1.0, 2.0]
        depth = found.params[self.named("fit", None, "depth")]
        assert _is(depth, 6) or _is(depth, 7)

    def test_a_point_that_cannot_be_held_costs_no_other(self, tracker: Tracker[Any], read_back: ReadBack) -> None:
        run = sample_run()
        external = tracker.begin(run, claimed=True)
        points = _points([0.5] * 4, positions=(1, 2**63, -(2**70), 2))
        batch = _batch(run, external, points=points, params={"depth": 6})
        for _ in range(2):
            with contextlib.suppress(UnsupportedError):  # a tool may hold them
                tracker.log(batch)
        held = read_back(external)
        arrived = [place for place in held.points[self.named("fit", None, "loss")] if place[0] in {1, 2}]
        assert arrived == [(1, 0.5), (2, 0.5)]
        assert self.named("fit", None, "depth") in held.params

    def test_many_points_arrive(self, tracker: Tracker[Any], read_back: ReadBack) -> None:
        run = sample_run()
        external = tracker.begin(run, claimed=True)
        values = [float(number) for number in range(2500)]
        tracker.log(_batch(run, external, points=_points(values, positions=range(2500))))
        assert read_back(external).points[self.named("fit", None, "loss")] == tuple(enumerate(values))

    def test_workers_at_the_same_time_lose_and_double_nothing(self, tracker: Tracker[Any], read_back: ReadBack) -> None:
        """Four processes log elements of a mapped step, each sending its batches twice."""
        run, workers, count = sample_run(), 4, 20
        external = tracker.begin(run, claimed=True)
        together(tracker, *[(log_twice, (run, external, worker, count)) for worker in range(workers)])
        expected: Counter[tuple[str, float]] = Counter()
        for worker in range(workers):
            name = self.named("score", worker, "loss")
            expected.update((name, float(worker * count + number)) for number in range(count))
        found = read_back(external).points
        assert Counter((name, value) for name, series in found.items() for _, value in series) == expected

    def test_parameters_arrive(self, tracker: Tracker[Any], read_back: ReadBack) -> None:
        run = sample_run()
        external = tracker.begin(run, claimed=True)
        params = {"depth": 6, "rate": 0.1, "name": "Zoë 'x' \"y\"\n{z}", "on": True, "none": None, "sizes": [1, [2]]}
        tracker.log(_batch(run, external, params={**params, "long": "x" * 400}))
        found = read_back(external).params
        for name, value in params.items():
            shown = found[self.named("fit", None, name)]
            assert _is(shown, value), f"{name} was logged as {value!r} and is {shown!r}"
        assert self.named("fit", None, "long") in found

    def test_artifacts_arrive(self, tracker: Tracker[Any], read_back: ReadBack, tmp_path: Path) -> None:
        run = sample_run()
        external = tracker.begin(run, claimed=True)
        file, folder = tmp_path / "report.txt", tmp_path / "model"
        file.write_bytes(b"\x00fine")
        (folder / "parts").mkdir(parents=True)
        (folder / "head.txt").write_bytes(b"head")
        (folder / "parts" / "1.txt").write_bytes(b"one")
        tracker.log(_batch(run, external, artifacts={"report": file, "model": folder}))
        file.unlink()
        (folder / "head.txt").unlink()
        found = read_back(external).artifacts
        assert list(found[self.named("fit", None, "report")].values()) == [b"\x00fine"]
        assert found[self.named("fit", None, "model")] == {"head.txt": b"head", "parts/1.txt": b"one"}

    def test_names_that_differ_stay_apart(self, tracker: Tracker[Any], read_back: ReadBack) -> None:
        run = sample_run()
        external = tracker.begin(run, claimed=True)
        names = ["val loss", "val_loss", "val/loss", "loss (%)", "loss [%]", "Verlust ß", "a:b", "a'b", "x" * 200]
        points = [Point(name, float(n), n, _TIME, 0) for n, name in enumerate(names)]
        tracker.log(_batch(run, external, points=tuple(points)))
        found = read_back(external).points
        assert len({self.named("fit", None, name) for name in names}) == len(names)
        for number, name in enumerate(names):
            assert [value for _, value in found[self.named("fit", None, name)]] == [float(number)]

    @pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
    def test_a_run_ends(self, tracker: Tracker[Any], read_back: ReadBack, state: Any) -> None:
        run = sample_run()
        external = tracker.begin(run, claimed=True)
        self._again(tracker).finish(run, external, state)
        assert read_back(external).state == state

    def test_a_run_may_end_again_after_it_was_resumed(self, tracker: Tracker[Any], read_back: ReadBack) -> None:
        run = sample_run()
        external = tracker.begin(run, claimed=True)
        tracker.finish(run, external, "failed")
        assert self._again(tracker).begin(run, claimed=False) == external
        tracker.log(_batch(run, external, points=_points([1.0])))
        tracker.finish(run, external, "succeeded")
        tracker.finish(run, external, "succeeded")
        found = read_back(external)
        assert (found.state, list(found.points)) == ("succeeded", [self.named("fit", None, "loss")])

    def test_an_error_names_no_credential(self, unreachable: Unreachable | None) -> None:
        if unreachable is None:
            pytest.skip("no fixture 'unreachable'")
        run = sample_run()
        calls: tuple[Callable[[Tracker[Any]], Any], ...] = (
            lambda tracker: tracker.begin(run, claimed=True),
            lambda tracker: tracker.log(_batch(run, "1", points=_points([1.0]))),
            lambda tracker: tracker.finish(run, "1", "failed"),
        )
        for call in calls:
            with pytest.raises(TurnoutError) as caught:
                call(unreachable.tracker)
            assert unreachable.secret not in str(caught.value)

    @staticmethod
    def _again(tracker: Tracker[Any]) -> Tracker[Any]:
        """The tracker of another worker."""
        return type(tracker)(tracker.config)


_TIME = "2026-01-31T12:00:00.000000Z"


def _points(values: Any, positions: Any = None) -> tuple[Point, ...]:
    at = list(positions) if positions is not None else [None] * len(values)
    return tuple(Point("loss", value, n, _TIME, x) for n, (value, x) in enumerate(zip(values, at, strict=True)))


def _batch(run: RunInfo, external: str, step: str = "fit", attempt: str = "first", **fields: Any) -> Batch:
    return Batch(run=run, external_id=external, step=step, attempt=attempt, **fields)


def _is(shown: Any, value: Any) -> bool:
    """Whether a tool shows a value: as it is, as its text, or as JSON."""
    return shown == value or shown in (str(value), canonical.encode(value).decode())


def log_twice(tracker: Tracker[Any], run: RunInfo, external: str, worker: int, count: int) -> None:
    """What a worker does: it logs in batches, and sends each a second time."""
    points = tuple(Point("loss", float(worker * count + n), n, _TIME, n) for n in range(count))
    for start in range(0, count, 5):
        batch = _batch(run, external, "score", f"a{worker}", index=worker, points=points[start : start + 5])
        tracker.log(batch)
        tracker.log(batch)
