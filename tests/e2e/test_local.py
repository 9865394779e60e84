"""The local engine on real runs: parallel steps in warm, sealed workers."""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter

import pytest
from waiting import alive

from turnout.base.errors import ArtifactError, RunError


def test_two_warm_workers_run_twelve_steps_one_at_a_time_each(project):
    run, state, _ = project.run(
        """
        @step
        def work(n: int) -> dict:
            began = time.monotonic()
            time.sleep(0.05)
            return {"pid": os.getsid(0), "began": began, "ended": time.monotonic()}

        @pipeline
        def flow():
            for n in range(12):
                work.named(f"work_{n}")(n)
        """
    )
    assert state == "succeeded"
    spans = [one.load() for one in run]
    assert len({span["pid"] for span in spans}) == 2
    by_worker: dict[int, list] = {}
    for span in sorted(spans, key=lambda span: span["began"]):
        by_worker.setdefault(span["pid"], []).append(span)
    for own in by_worker.values():
        assert all(first["ended"] <= second["began"] for first, second in itertools.pairwise(own))
    one, other = by_worker.values()
    assert any(a["began"] < b["ended"] and b["began"] < a["ended"] for a in one for b in other)
    assert not any(alive(pid) for pid in by_worker)
    assert os.getpid() not in by_worker


def test_workers_are_sealed_and_a_step_gets_as_many_threads_as_cores(project, monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("OMP_NUM_THREADS", "13")
    run, _, _ = project.run(
        """
        def seen():
            here = Path.cwd()
            return {"hash": hash("turnout"), "zone": time.strftime("%z"), "threads": os.environ["OMP_NUM_THREADS"],
                    "stdin": sys.stdin.read(), "folder": os.listdir(), "display": os.environ["MPLBACKEND"]}

        @step
        def one() -> dict:
            found = seen()
            Path("left.txt").write_text("a file of the last step")
            return found

        @step
        def again(before: dict) -> dict:
            return seen()

        @step(resources=Resources(cpu=2))
        def two(before: dict) -> dict:
            return seen()

        @pipeline
        def flow():
            first = one()
            again(first)
            two(first)
        """
    )
    one, again, two = (run[name].load() for name in ("one", "again", "two"))
    assert one == again == {**two, "threads": "1"}
    assert two["threads"] == "2"
    assert (one["zone"], one["stdin"], one["folder"]) == ("+0000", "", [])


def test_an_input_is_read_anew_by_each_step(project):
    run, _, _ = project.run(
        """
        @step
        def make() -> list:
            return [1]

        @step
        def change(x: list) -> list:
            x.append(2)
            return x

        @step
        def read(x: list, after: list) -> list:
            return x

        @pipeline
        def flow():
            x = make()
            read(x, change(x))
        """
    )
    assert (run["change"].load(), run["read"].load()) == ([1, 2], [1])


@pytest.mark.parametrize("count", [0, 1, 200])
def test_maps_of_none_one_and_many(project, count):
    run, state, _ = project.run(
        f"""
        @step
        def items() -> list[int]:
            return list(range({count}))

        @step
        def double(n: int) -> int:
            return 2 * n

        @step
        def total(all: list[int]) -> int:
            return sum(all)

        @pipeline
        def flow():
            total(double.map(items()))
        """
    )
    assert state == "succeeded"
    assert run["total"].load() == count * (count - 1)
    assert len(run["double"].elements) == count


def test_steps_of_a_pipeline_in_a_pipeline(project):
    run, state, _ = project.run(
        """
        @step
        def add(a: int, b: int) -> int:
            return a + b

        @pipeline
        def inner(x: int):
            return add.named("second")(add.named("first")(x, 1), 1)

        @pipeline
        def flow():
            add(inner(1), 1)
        """
    )
    assert (state, run["add"].load()) == ("succeeded", 4)
    assert run["inner.second"].load() == 3


def test_at_most_as_many_cores_as_there_are(project):
    run, _, _ = project.run(
        """
        @step(resources=Resources(cpu=2))
        def wide(n: int) -> list:
            began = time.monotonic()
            time.sleep(0.05)
            return [began, time.monotonic()]

        @step(resources=Resources(cpu=64, memory="1Ti"))
        def huge() -> int:
            return 1

        @pipeline
        def flow():
            for n in range(3):
                wide.named(f"wide_{n}")(n)
            huge()
        """
    )
    spans = sorted(run[f"wide_{n}"].load() for n in range(3))
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    assert run["huge"].load() == 1


def test_two_runs_at_once_on_one_store(project):
    source = """
        @step
        def work(n: int) -> int:
            time.sleep(0.02)
            return n

        @pipeline
        def flow(base: int):
            for n in range(5):
                work.named(f"work_{n}")(base)
        """
    one, _ = project.start(source, base=1)
    from turnout.api.launch import Launch
    from turnout.model.records import Options

    other = Launch.of(project.pipeline(), stack=str(project.folder / "stack.yaml")).submit({"base": 2}, Options())
    assert (one.wait(60), other.wait(60)) == ("succeeded", "succeeded")
    assert one.run_id != other.run_id
    assert (project.look(one)["work_4"].load(), project.look(other)["work_4"].load()) == (1, 2)


def test_submit_does_not_wait(project):
    project.write(
        """
        @step
        def slow(gate: str) -> int:
            while not Path(gate).exists():
                time.sleep(0.02)
            return 5

        @pipeline
        def flow(gate: str):
            slow(gate)
        """
    )
    gate = project.folder / "gate"
    run = project.pipeline().submit(stack=str(project.folder / "stack.yaml"), gate=str(gate))
    assert run.state == "running"
    gate.touch()
    for thread in threading.enumerate():
        if thread.name == f"turnout-{run.id}":
            thread.join()
    assert run.refresh()["slow"].load() == 5
    assert run.state == "succeeded"


def test_what_a_step_prints_is_in_its_log_with_all_its_attempts(project):
    run, _, _ = project.run(
        """
        @step(retries=1)
        def talk() -> int:
            print("out", os.getpid())
            print("err", file=sys.stderr)
            os.write(1, b"raw\\n")
            subprocess.run(["echo", "from a child"])
            if not Path(os.environ["TURNOUT_WORK"], "seen").exists():
                Path(os.environ["TURNOUT_WORK"], "seen").touch()
                raise ValueError("the first time")
            return 1

        @step
        def loud() -> int:
            for number in range(20_000):
                print("x" * 100, file=sys.stderr)
            return 1

        @step
        def closed() -> int:
            sys.stdout.close()
            sys.stderr = None
            return 1

        @step
        def after(a: int, b: int) -> int:
            print("still heard")
            return 1

        @pipeline
        def flow():
            talk()
            after.named("after_1")(closed(), loud())
            after.named("after_2")(closed.named("again")(), 1)
        """
    )
    assert run.state == "succeeded"
    lines = Counter(line.split()[0] for line in project.log(run, "talk").splitlines() if line)
    assert (lines["out"], lines["err"], lines["raw"], lines["from"]) == (2, 2, 2, 2)
    assert "ValueError: the first time" in project.log(run, "talk")
    assert len(project.log(run, "loud")) == 20_000 * 101
    assert "still heard" in project.log(run, "after_1") + project.log(run, "after_2")
    assert list(run.workspace.orchestrator.logs(run.plan, run.info.engine_run, "after_1")) == ["still heard"]


def test_in_this_process_the_users_own_exception_is_the_cause(project, turnout_stack):
    project.write(
        """
        class Own(Exception):
            pass

        @step
        def fine() -> int:
            return os.getpid()

        @step(retries=3)
        def broken(x: int) -> int:
            raise Own("mine")

        @pipeline
        def flow():
            broken(fine())
        """
    )
    flow = project.pipeline()
    with pytest.raises(RunError) as caught:
        flow.run()
    assert type(caught.value.__cause__).__name__ == "Own"
    run = caught.value.run
    assert run["fine"].load() == os.getpid()
    assert run["fine"].record.sealed is False
    assert len(run["broken"].summary.attempts) == 4


def test_in_this_process_a_keyboard_interrupt_stops_the_run(project, turnout_stack):
    project.write(
        """
        @step(retries=3)
        def interrupted() -> int:
            raise KeyboardInterrupt

        @step
        def other() -> int:
            return 1

        @pipeline
        def flow():
            interrupted()
            other()
        """
    )
    import turnout

    with pytest.raises(KeyboardInterrupt):
        project.pipeline().run()
    (run,) = turnout.runs()
    assert run.state == "cancelled"
    assert len(run["interrupted"].summary.attempts) == 1
    assert run["other"].state == "not run"


def test_a_step_from_the_cache_has_no_log(project):
    source = """
        @step
        def one() -> int:
            return 1

        @step
        def loud(x: int) -> int:
            print("heard")
            return x

        @pipeline
        def flow():
            loud(one())
        """
    first, _, _ = project.run(source)
    assert project.log(first, "loud") == "heard\n"
    handle, _ = project.start(source)
    assert handle.wait(60) == "succeeded"
    again = project.look(handle)
    assert again["loud"].record.cached_from == f"{first.id}/loud"
    logs = project.folder / ".turnout" / "logs" / again.id
    assert [path.name for path in logs.iterdir()] == ["one.log"]
    orchestrator = again.workspace.orchestrator
    with pytest.raises(ArtifactError, match="there is no log of loud") as caught:
        list(orchestrator.logs(again.plan, again.info.engine_run, "loud"))
    assert "its result may be from the cache" in str(caught.value)
