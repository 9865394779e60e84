"""What documents and links name is held against the plan before it becomes a path, and nothing is written elsewhere."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
from projects import call, write_project

from turnout.base.errors import ArtifactError, PlanError
from turnout.engines.local.control import CANCEL, NAME, Control, send
from turnout.model.inputs import Element, InputSpec, Output, Param
from turnout.model.plan import Code, Plan, StepPlan
from turnout.model.spec import Entrypoint
from turnout.model.validity import check
from turnout.runtime.log_file import APPEND, open_log

SOURCE = """
from turnout import pipeline, step

@step
def numbers(count: int) -> list[int]:
    return list(range(count))

@step
def double(number: int) -> int:
    return 2 * number

@step
def total(several: list[int]) -> int:
    return sum(several)

@pipeline
def flow(count: int = 2):
    total(double.map(numbers(count)))
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A project with one run on the local stack; `call` is the command, in a process of its own."""
    monkeypatch.setenv("TURNOUT_CACHE", str(tmp_path / "cache"))
    root = write_project(tmp_path / "shop", {"flow.py": SOURCE}, name="shop")

    def told(*words: str) -> subprocess.CompletedProcess[str]:
        done = call(root, *words)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    assert told("run", "flow.py").returncode == 0
    return root, told


def change(path: Path, **fields) -> None:
    """Edit a document of the store."""
    document = json.loads(path.read_bytes())
    path.chmod(0o644)
    path.write_text(json.dumps({**document, **fields}))


def outside(root: Path) -> list[str]:
    """Whatever lies beside the project but the cache."""
    return sorted(path.name for path in root.parent.iterdir() if path.name not in {"shop", "cache"})


def test_an_output_that_the_plan_does_not_have_is_no_path(shop):
    root, call = shop
    (path,) = root.glob(".turnout/store/shop/runs/*/steps/total/record.json")
    output = json.loads(path.read_bytes())["outputs"]["output"]
    for name in ("../../../planted", "/tmp/turnout-planted", "other", "", "output/../../../planted", "two\nlines"):
        change(path, outputs={name: output})
        done = call("artifacts", "load", "latest", "total", "--to", "out/deep/down")
        assert done.returncode == 2
        shown = name.replace("\n", "\\n")[:100] or "none"
        assert f"record.json is refused: its outputs are {shown}, and by the plan output\n" in done.stderr
        assert done.stdout == ""
        assert outside(root) == []
        assert not (root / "planted").exists()
        assert not Path("/tmp/turnout-planted").exists()


def test_a_record_in_the_place_of_another(shop):
    root, call = shop
    (path,) = root.glob(".turnout/store/shop/runs/*/steps/total/record.json")
    for fields in ({"step": "numbers"}, {"index": 3}, {"step": "../../x"}):
        change(path, **{"step": "total", "index": None, **fields})
        shown = call("runs", "show", "latest")
        assert shown.returncode == 2
        assert "steps/total/record.json is refused: it is of another step; it is left out" in shown.stderr
        assert "! total" in shown.stdout
        assert call("artifacts", "load", "latest", "total").returncode == 2


@pytest.mark.parametrize("field", ["id", "project"])
def test_a_run_in_the_place_of_another(shop, field):
    root, call = shop
    (path,) = root.glob(".turnout/store/shop/runs/*/run.json")
    change(path, **{field: "../../../planted"})
    for command in (("runs", "show", path.parent.name), ("runs", "resume", path.parent.name)):
        done = call(*command)
        assert done.returncode == 2
        assert "run.json is refused: it is of another run" in done.stderr
    listed = call("runs", "list")
    assert (listed.returncode, listed.stdout) == (0, "")
    assert "run.json is refused: it is of another run; it is left out" in listed.stderr
    assert outside(root) == []


def test_a_run_that_says_to_be_another_of_its_engine(shop):
    root, call = shop
    (path,) = root.glob(".turnout/store/shop/runs/*/run.json")
    change(path, engine_run="../../x")
    done = call("runs", "logs", "latest", "total")
    assert done.returncode == 2
    assert "the engine's run '../../x' is another" in done.stderr


def test_a_run_that_has_ended_is_not_written_to(shop):
    root, call = shop
    (folder,) = (root / ".turnout" / "logs").iterdir()
    control = folder / NAME
    os.mkfifo(control)
    reader = os.open(control, os.O_RDONLY | os.O_NONBLOCK)
    done = call("runs", "cancel", "latest")
    assert done.returncode == 1
    assert "it has ended: succeeded" in done.stderr
    assert os.read(reader, 10) == b""
    os.close(reader)


# the control of an engine


def planted(kind: str, folder: Path, victim: Path) -> None:
    control = folder / NAME
    if kind == "link to a file":
        control.symlink_to(victim)
    elif kind == "link to a pipe":
        os.mkfifo(victim.with_name("pipe"))
        control.symlink_to(victim.with_name("pipe"))
    elif kind == "hard link":
        os.link(victim, control)
    elif kind == "folder":
        control.mkdir()
    elif kind == "socket":
        bound = socket.socket(socket.AF_UNIX)
        here = Path.cwd()
        os.chdir(folder)
        bound.bind(NAME)
        os.chdir(here)
        bound.close()
    elif kind == "folder linked":
        elsewhere = folder.with_name("elsewhere")
        elsewhere.mkdir()
        os.link(victim, elsewhere / NAME)
        folder.rmdir()
        folder.symlink_to(elsewhere)


KINDS = ("link to a file", "link to a pipe", "hard link", "folder", "socket", "folder linked")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_control_is_not_written_to(tmp_path, kind):
    folder, victim = tmp_path / "run", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("precious")
    planted(kind, folder, victim)
    assert send(folder, CANCEL) in ({"dead"} if kind == "socket" else {"other"})
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "folder" not in kind])
def test_an_engine_makes_its_own_control(tmp_path, kind):
    folder, victim = tmp_path / "run", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("precious")
    planted(kind, folder, victim)
    control = Control(folder)
    assert send(folder, CANCEL) == "sent"
    assert control.cancelled()
    control.close()
    assert send(folder) == "none"
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
def test_a_log_is_a_file_of_its_own_name(tmp_path, kind):
    log, victim = tmp_path / "fit.log", tmp_path / "victim"
    if kind == "link":
        victim.write_text("precious")
    if "link" in kind:
        log.symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(log)
        reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    else:
        log.mkdir()
    with pytest.raises(ArtifactError, match="is not used: it is a link, a folder or a pipe"):
        open_log(log, APPEND)
    assert not victim.exists() or victim.read_text() == "precious"
    if kind == "pipe":
        os.close(reader)


# plans


def plan(*steps: StepPlan, **fields) -> Plan:
    place = Entrypoint(module="flow", qualname="flow")
    made = {"project": "shop", "name": "flow", "code": Code(digest="0" * 64), **fields}
    return Plan(runtime="0.1.0", orchestrator="local", stack="local", entrypoint=place, steps=steps, **made)


def task(name: str, **fields) -> StepPlan:
    return StepPlan(name=name, entrypoint=Entrypoint(module="flow", qualname="f"), **fields)


def reads(source) -> dict[str, InputSpec]:
    return {"x": InputSpec(source=source)}


BAD = {
    "a step that leaves the folder": (task("../../x"),),
    "a step with a slash": (task("a/b"),),
    "an empty step": (task(""),),
    "an element's name": (task("a.0"),),
    "twice": (task("a"), task("a")),
    "a file that leaves the folder": (task("a", files={"../x": "0" * 64}),),
    "an absolute file": (task("a", files={"/etc/x": "0" * 64}),),
    "an input from nowhere": (task("a", inputs=reads(Output(step="b", output="output"))),),
    "an input from itself": (task("a", inputs=reads(Output(step="a", output="output"))),),
    "an output that there is not": (task("a"), task("b", inputs=reads(Element(step="a", output="output")))),
    "a parameter that there is not": (task("a", inputs=reads(Param(name="p"))),),
    "a guard that there is not": (task("a", guards=("g",)),),
    "a guard that is none": (task("g"), task("a", guards=("g",))),
    "nothing to call": (StepPlan(name="a"),),
    "nothing to decide": (StepPlan(name="a", kind="gate"),),
}


@pytest.mark.parametrize("case", BAD)
def test_a_plan_that_does_not_hold_together(case):
    with pytest.raises(PlanError, match="the plan cannot be used: "):
        check(plan(*BAD[case]), "the plan")


@pytest.mark.parametrize(
    "fields", [{"project": "../x"}, {"name": "a b"}, {"code": Code(digest="0" * 64, roots=("../x",))}]
)
def test_a_plan_whose_names_are_no_paths(fields):
    with pytest.raises(PlanError, match="the plan cannot be used: "):
        check(plan(**fields), "the plan")


# a driver's files


@pytest.mark.parametrize("name", ["driver.lock", "driver-output.log", "begun", "ended", "cancel"])
def test_a_driver_writes_under_its_own_names(tmp_path, name):
    from turnout.engines import drive

    folder, victim = tmp_path / "run", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("precious")
    (folder / name).symlink_to(victim)
    with pytest.raises(ArtifactError, match="is not used: it is a link"):
        drive._mark(folder, name)
    assert victim.read_text() == "precious"
