"""What needs no worker: the engine adopts, skips and takes over by itself."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from turnout import Run
from turnout.engines.local import engine
from turnout.runtime import decision
from turnout.stores.local import LocalStore

EVERYTHING = """
    @step(cache=True)
    def numbers() -> list[int]:
        return [1, 2, 3]

    @step
    def double(x: int) -> int:
        return 2 * x

    @step
    def total(xs: list[int]) -> bytes:
        return bytes(1000 * sum(xs))

    @step
    def size(data: bytes) -> int:
        return len(data)

    @pipeline
    def flow():
        size(total(double.map(numbers())))
    """
LABELS = ["double.0", "double.1", "double.2", "numbers", "size", "total"]


@pytest.fixture
def workers(monkeypatch):
    """The workers that are started."""
    started = []

    class Counted(engine.Worker):
        def __init__(self, *arguments):
            started.append(self)
            super().__init__(*arguments)

    monkeypatch.setattr(engine, "Worker", Counted)
    return started


def cached(run):
    return sorted(one.label for one in run.summaries.values() if one.record and one.record.cached_from)


def test_a_run_of_which_all_is_cached_starts_no_worker(project, workers):
    first, state, _ = project.run(EVERYTHING)
    assert state == "succeeded"
    assert workers
    workers.clear()
    again, state, changes = project.run(EVERYTHING)
    assert (state, cached(again), workers) == ("succeeded", LABELS, [])
    assert [value.digests for value in again["size"].outputs.values()] == [
        value.digests for value in first["size"].outputs.values()
    ]
    assert [change.message for change in changes if change.step == "size"] == [f"cached from {first.id}/size"]


def test_what_is_large_is_verified_by_a_worker(project, workers, monkeypatch):
    monkeypatch.setattr(decision, "NEAR", 100)
    project.run(EVERYTHING)
    workers.clear()
    again, state, _ = project.run(EVERYTHING)
    assert (state, cached(again), len(workers)) == ("succeeded", LABELS, 1)


def test_a_damaged_result_is_made_again(project, workers):
    first, _, _ = project.run(EVERYTHING)
    (artifact,) = first["total"].record.outputs.values()
    folder = first.workspace.store.local_path(f"artifacts/{artifact.digests[0]}/manifest.json").parent
    (blob,) = (path for path in (folder / "files").iterdir())
    blob.chmod(0o644)
    blob.write_bytes(b"other")
    workers.clear()
    again, state, _ = project.run(EVERYTHING)
    assert (state, len(workers)) == ("succeeded", 1)
    assert cached(again) == [label for label in LABELS if label != "total"]
    assert again["size"].load() == 12_000


def test_a_step_with_variables_of_its_own_is_looked_up_by_a_worker(project, workers, monkeypatch):
    monkeypatch.setenv("REGION", "north")
    source = """
        @step(cache=True, env=["REGION"])
        def region() -> str:
            return os.environ["REGION"]

        @pipeline
        def flow():
            region()
        """
    project.run(source)
    workers.clear()
    again, _, _ = project.run(source)
    assert (cached(again), len(workers)) == (["region"], 1)


def test_what_is_skipped_needs_no_worker(project, workers):
    source = """
        @step(cache=True)
        def score() -> float:
            return 0.25

        @step(cache=True)
        def publish() -> int:
            return 1

        @pipeline
        def flow():
            with when(score() > 0.5):
                publish()
        """
    project.run(source)
    workers.clear()
    again, state, changes = project.run(source)
    assert state == "succeeded"
    assert again["publish"].state == "skipped"
    assert len(workers) == 1  # the gate's
    assert [change.state for change in changes if change.step == "publish"] == ["skipped"]


def test_an_engine_that_takes_over_can_be_stopped(project, workers, monkeypatch):
    source = """
        @step(cache=True)
        def begin() -> int:
            return 0

        @step
        def add(x: int) -> int:
            return x + 1

        @pipeline
        def flow():
            x = begin()
            for n in range(20):
                x = add.named(f"add_{n}")(x)
        """
    project.run(source)
    workers.clear()
    monkeypatch.setattr(engine, "SLICE", 0.0)

    class Stopped(engine.Engine):
        def _tell(self, change):
            super()._tell(change)
            self.cancel()

    monkeypatch.setattr("turnout.engines.local.adapter.Engine", Stopped)
    run, state, changes = project.run(source)
    assert state == "cancelled"
    assert len(changes) == 1
    assert cached(run) == ["begin"]
    assert not workers


def test_reused_records_need_no_worker(project, workers):
    first, _, _ = project.run(EVERYTHING)
    workers.clear()
    again = project.pipeline().run(stack=str(project.folder / "stack.yaml"), reuse=first, from_="size")
    assert again["total"].record.reused_from == f"{first.id}/total"
    assert len(workers) <= 1


def test_what_a_url_names_is_read_by_a_worker(project, workers, tmp_path):
    served = tmp_path / "served"
    served.mkdir()
    (served / "data.csv").write_text("a,b\n")
    handler = partial(SimpleHTTPRequestHandler, directory=str(served))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    source = f"""
        from turnout import File

        @step
        def length(data: File) -> int:
            return len(Path(data).read_text())

        @pipeline
        def flow(data: File = "http://127.0.0.1:{server.server_port}/data.csv"):
            length(data)
        """
    try:
        project.run(source)
        workers.clear()
        again, state, _ = project.run(source)
    finally:
        server.shutdown()
        server.server_close()
    assert (state, cached(again), len(workers)) == ("succeeded", ["length"], 1)


def test_what_was_not_attempted_is_summed_up_without_a_look_at_the_store(project, monkeypatch):
    """The engine that has taken over everything knows all there is; where a step ran, the store is asked."""
    project.run(EVERYTHING)
    listed = []
    monkeypatch.setattr(
        LocalStore, "list", lambda self, prefix, real=LocalStore.list: listed.append(prefix) or real(self, prefix)
    )
    handle, _ = project.start(EVERYTHING)
    assert handle.attempted
    assert handle.wait(60) == "succeeded"
    again = project.look(handle)
    run = Run(handle.run_id, workspace=again.workspace)
    run.known, run.attempted = handle.records, handle.attempted
    assert not run.attempted
    listed.clear()
    assert sorted(one.label for one in run.summaries.values()) == LABELS
    assert listed == []
    assert run.refresh().summaries == again.summaries
    assert listed != []


def test_garbage_is_looked_for_while_a_step_runs(project):
    run, _, _ = project.run("""
        @step
        def looked_for() -> bool:
            import gc

            return gc.isenabled()

        @pipeline
        def flow():
            looked_for()
        """)
    assert run["looked_for"].load() is True
