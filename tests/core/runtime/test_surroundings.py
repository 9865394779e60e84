"""What a step finds around it: an empty folder, its files, inputs of its own, an environment nobody else has changed."""

from __future__ import annotations

import io
import math
import os
import re
from pathlib import Path

import pytest

from turnout.model.records import Record
from turnout.project import code as packages
from turnout.project.project import load
from turnout.runtime.finish import finish_run
from turnout.runtime.step import run_step

SOURCE = """
    import os, threading
    from pathlib import Path
    import turnout
    from turnout import log_artifact, log_figure, log_metric, log_metrics, log_params, log_table

    def around():
        return sorted(str(path) for path in Path().rglob("*")), os.getcwd()

    def litter():
        Path("left.txt").write_text("x")
        os.environ["LEFT"] = "1"
        os.environ["CHANGED"] = "by litter"
        os.environ.pop("REMOVED", None)
        os.chdir("/")

    def litter_and_fail():
        litter()
        raise ValueError("no")

    def gone():
        os.rmdir(os.getcwd())

    def in_the_way():
        folder = os.getcwd()
        os.rmdir(folder)
        Path(folder).write_text("a file in its place")

    def see():
        found = {name: os.environ.get(name) for name in ("LEFT", "CHANGED", "REMOVED")}
        return found | {"left": Path("left.txt").exists()}

    def read_sql():
        Path("sql/q.sql").write_text(Path("sql/q.sql").read_text() + "!")
        return Path("sql/q.sql").read_text()

    def table():
        return {"rows": [1, 2, 3], "deep": {"x": [1]}}

    def spoil(data):
        data["rows"].append(99)
        data["deep"]["x"].clear()
        return data

    def give_file() -> Path:
        Path("report.txt").write_text("written in the step's own folder")
        return turnout.File("report.txt")

    def log_much():
        log_metric("loss", 0.5)
        log_metric("loss", 0.25, x=2)
        log_metrics({"a": float("nan"), "b": float("inf")}, x=3)
        log_metric("b", float("-inf"))
        log_params({"depth": 3, "names": ("x", "y")})
        log_params({"depth": 4})
        return 1

    def log_numpy():
        import numpy
        log_metric("loss", numpy.float32(0.5), x=numpy.int64(7))
        log_params({"depth": numpy.int64(3), "rate": numpy.float64(0.1), "all": [numpy.int32(1)]})
        return 1

    def log_many():
        def work():
            for _ in range(200):
                log_metric("x", 1)
        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        return 1

    def log_things():
        import matplotlib
        matplotlib.use("Agg")
        from matplotlib import pyplot
        import pandas
        figure, axes = pyplot.subplots()
        axes.plot([1, 2])
        log_figure("curve", figure)
        pyplot.close(figure)
        log_table("rows", pandas.DataFrame({"a": [1, 2]}))
        log_artifact("settings", {"a": 1})
        Path("notes.txt").write_text("notes")
        log_artifact("notes", Path("notes.txt"))
        return 1

    def log_and_fail():
        log_metric("loss", 0.5)
        log_params({"depth": 3})
        log_artifact("before", [1])
        raise ValueError("after that")

    def log_wrong(what):
        if what == "param":
            log_params({"model": object()})
        elif what == "name":
            log_metric(3, 1.0)
        elif what == "value":
            log_metric("loss", "high")
        elif what == "x":
            log_metric("loss", 1.0, x=0.5)
"""


@pytest.fixture
def demo(bench):
    bench.write(SOURCE)
    return bench


def test_a_step_starts_in_an_empty_folder_of_its_own(demo, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    demo.make(demo.step("around"), demo.step("again", "around"))
    session = demo.open()
    for step in ("around", "again"):
        assert run_step(session, step).exit_code == 0
        found, folder = demo.value(step)
        assert found == []
        assert Path(folder).resolve() != tmp_path
    assert Path.cwd() == tmp_path
    session.close()
    assert not Path(folder).exists()


def test_declared_files_are_there_and_each_step_has_its_own(demo):
    (demo.root / "sql").mkdir()
    (demo.root / "sql" / "q.sql").write_text("select 1")
    (demo.root / "sql" / "other.sql").write_text("select 2")
    files = {"sql/q.sql": "0" * 64}
    demo.make(
        demo.step("first", "read_sql", files=files),
        demo.step("second", "read_sql", files=files),
        demo.step("around", files=files),
    )
    demo.run()
    assert demo.value("first") == demo.value("second") == "select 1!"
    assert demo.value("around")[0] == ["sql", "sql/q.sql"]
    package = packages.build(load(demo.root))
    assert (demo.folder / "cache" / "code" / package.digest / "sql" / "q.sql").read_text() == "select 1"


@pytest.mark.parametrize("first", ["litter", "litter_and_fail"])
def test_what_a_step_does_to_the_environment_ends_with_it(demo, monkeypatch, tmp_path, first):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHANGED", "before")
    monkeypatch.setenv("REMOVED", "before")
    demo.make(demo.step("first", first), demo.step("see"))
    session = demo.open()
    run_step(session, "first")
    assert Path.cwd() == tmp_path
    assert run_step(session, "see").exit_code == 0
    assert demo.value("see") == {"LEFT": None, "CHANGED": "before", "REMOVED": "before", "left": False}
    assert "LEFT" not in os.environ


@pytest.mark.parametrize("first", ["gone", "in_the_way"])
def test_a_step_that_removes_its_folder_harms_nobody(demo, first):
    demo.make(demo.step(first), demo.step("around"))
    session = demo.open()
    assert [run_step(session, step).exit_code for step in (first, "around")] == [0, 0]
    assert demo.value("around")[0] == []


def test_a_worker_whose_folder_was_removed_still_runs(demo, monkeypatch, tmp_path):
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    demo.make(demo.step("around"))
    session = demo.open()
    (tmp_path / "home").rmdir()
    assert run_step(session, "around").exit_code == 0


def test_inputs_are_read_anew_for_every_step(demo):
    demo.make(
        demo.step("table"),
        demo.step("first", "spoil", data=demo.out("table")),
        demo.step("second", "spoil", data=demo.out("table")),
    )
    session = demo.open()
    for step in ("table", "first", "second"):
        run_step(session, step)
    assert demo.value("table") == {"rows": [1, 2, 3], "deep": {"x": [1]}}
    assert demo.value("first") == demo.value("second") == {"rows": [1, 2, 3, 99], "deep": {"x": []}}


def test_an_output_may_lie_in_the_steps_own_folder(demo):
    demo.make(demo.step("give_file"))
    demo.call("give_file")
    assert Path(demo.value("give_file")).read_text() == "written in the step's own folder"


# what a step logs


def logged(demo, step):
    record: Record = demo.record(step)
    return record.logged


def test_metrics_and_params_reach_the_record(demo):
    demo.make(demo.step("log_much"))
    assert demo.call("log_much").exit_code == 0
    found = logged(demo, "log_much")
    assert [(point.name, point.value, point.x, point.sequence) for point in found.points] == [
        ("loss", 0.5, None, 0),
        ("loss", 0.25, 2, 1),
        ("a", "nan", 3, 2),
        ("b", "inf", 3, 3),
        ("b", "-inf", None, 4),
    ]
    assert found.params == {"depth": 4, "names": ["x", "y"]}
    assert sorted(point.time for point in found.points) == [point.time for point in found.points]
    assert demo.attempts("log_much")[0].logged.points == ()


def test_numbers_of_numpy_are_numbers(demo):
    demo.make(demo.step("log_numpy"))
    assert demo.call("log_numpy").message == ""
    found = logged(demo, "log_numpy")
    assert [(point.value, point.x) for point in found.points] == [(0.5, 7)]
    assert found.params == {"depth": 3, "rate": 0.1, "all": [1]}


def test_points_of_several_threads_are_told_apart(demo):
    demo.make(demo.step("log_many"))
    demo.call("log_many")
    assert [point.sequence for point in logged(demo, "log_many").points] == list(range(800))


def test_things_that_are_logged_can_be_loaded(demo):
    demo.make(demo.step("log_things"))
    assert demo.call("log_things").message == ""
    session = demo.open()
    found = {
        name: session.artifacts.load(one)
        for name, one in session.run.record("log_things", None).logged.artifacts.items()
    }
    assert set(found) == {"curve", "rows", "settings", "notes"}
    assert found["rows"]["a"].tolist() == [1, 2]
    assert found["settings"] == {"a": 1}
    assert Path(found["notes"]).read_text() == "notes"


def test_what_a_failed_attempt_logged_is_with_the_attempt(demo):
    demo.make(demo.step("log_and_fail"))
    demo.call("log_and_fail")
    found = demo.attempts("log_and_fail")[0].logged
    assert [point.value for point in found.points] == [0.5]
    assert found.params == {"depth": 3}
    assert set(found.artifacts) == {"before"}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("param", "the parameter 'model' takes a JSON value, not an object"),
        ("name", "what is logged is named by a text, not by 3"),
        ("value", "ValueError: could not convert string to float: 'high'"),
        ("x", "TypeError: 'float' object cannot be interpreted as an integer"),
    ],
)
def test_what_cannot_be_logged_fails_where_it_is_logged(demo, what, message):
    demo.make(demo.step("log_wrong", what=what))
    result = demo.call("log_wrong")
    assert result.state == "failed"
    assert result.message.startswith(message)
    finish_run(demo.open())


def test_finite_points_stay_numbers(demo):
    demo.make(demo.step("log_much"))
    demo.call("log_much")
    values = [point.value for point in logged(demo, "log_much").points]
    assert all(math.isfinite(value) for value in values if not isinstance(value, str))


def test_a_relative_path_that_is_not_there_is_told_with_what_to_declare(bench):
    bench.write("def one():\n    return open('data/n.txt').read()\n")
    bench.make(bench.step("one"))
    message = bench.call("one").message
    assert "No such file or directory: 'data/n.txt'" in message
    assert '@step(files=["data/n.txt"])' in message
    assert "a parameter of type File" in message


def test_a_module_that_did_not_travel_is_told_with_what_to_do(bench):
    (bench.root / ".gitignore").write_text("hidden.py\n")
    (bench.root / "hidden.py").write_text("x = 1\n")
    bench.write("def one():\n    import hidden\n    return hidden.x\n")
    bench.make(bench.step("one"))
    assert bench.call("one").message.startswith(
        "ModuleNotFoundError: No module named 'hidden'\n  why: hidden is neither"
    )
    said = bench.attempts("one")[0].failure.traceback
    assert "git must not ignore a module of the project" in said
    assert "hidden is neither in the code package nor installed" in said


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("breakpoint()", r"take out breakpoint\(\); to stop where the step fails: turnout debug [a-z2-7]{8} one --pdb"),
        ("input('name? ')", "take what was to be typed as a parameter"),
    ],
)
def test_who_waits_for_a_keyboard_is_told_what_to_do(bench, line, fix, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    bench.write(f"def one():\n    {line}\n    return 1\n")
    bench.make(bench.step("one"))
    failure = bench.attempts("one")[0].failure if bench.call("one") else None
    assert re.search(
        rf"\n  why: a step runs in a process of its own, where nobody can type\n  fix: {fix}\Z", failure.message
    )
    assert "bdb.py" not in failure.traceback


def test_of_what_the_runtime_wraps_only_a_traceback_through_the_users_code_is_told(bench):
    bench.write("def one():\n    raise OSError('disk')\n")
    bench.make(bench.step("one"))
    bench.call("one")
    assert "in one" in bench.attempts("one")[0].failure.traceback


def test_of_a_librarys_frames_the_last_is_shown(bench):
    bench.write("import json\ndef one():\n    return json.loads('{', parse_int=int)\n")
    bench.make(bench.step("one"))
    bench.call("one")
    frames = re.findall(r'File ".*?([^/"]+)", line', bench.attempts("one")[0].failure.traceback)
    assert frames[-2].startswith("bench_")
    assert frames[-1] == "decoder.py"
    assert len(frames) == 2
