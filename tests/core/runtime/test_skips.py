"""Every row of the truth table in docs/skips.md, with an engine that calls the step and one that does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from turnout.artifacts.artifacts import Artifacts
from turnout.base.errors import RunError
from turnout.materializers.builtin import BUILTIN
from turnout.materializers.choice import Materializers
from turnout.model.expressions import Compare, Const, Ref
from turnout.model.inputs import Collected, Element, InputSpec, Literal, Output
from turnout.model.plan import Code, OutputPlan, Plan, StepPlan
from turnout.model.records import OutputRecord, Record, StepResult, Submission
from turnout.model.spec import Entrypoint
from turnout.model.types import TypeName
from turnout.planning.publishing import publish_plan
from turnout.project import code as packages
from turnout.project.project import load
from turnout.runtime.decision import Execute, decide, settle_here
from turnout.runtime.finish import finish_run
from turnout.runtime.joining import join
from turnout.runtime.resolution import Skip, Wait
from turnout.runtime.session import Session
from turnout.runtime.step import run_step
from turnout.stores.local import LocalStore

TABLE = Path(__file__).parents[3] / "docs" / "skips.md"
INT = TypeName(name="builtins:int", text="int")
NUMBERS = TypeName(name="builtins:int", text="list[int]", collection=True)


@pytest.fixture(scope="module", autouse=True)
def one(tmp_path_factory):
    """The output that every record put by hand has."""
    folder = tmp_path_factory.mktemp("one")
    artifacts = Artifacts(LocalStore.from_url(str(folder)), Materializers(BUILTIN), folder)
    World.one = artifacts.save(1, OutputPlan(name="output", type=INT, materializer="json"))


def rows(header: str) -> list[tuple[str, ...]]:
    lines = TABLE.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(header))
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        found.append(tuple(cell.strip() for cell in line.strip("|").split("|")))
    return found


DECISIONS = {"is skipped": Skip, "waits": Wait, "runs": Execute}
ROWS = rows("| step | input |")
PAIRS = rows("| first input |")


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    (root / "pyproject.toml").write_text("[project]\nname = 'table'\nversion = '1'\n")
    (root / "work.py").write_text(
        "def task(given=7, other=7):\n    return 1\n\n\ndef show(given=7):\n    return [given]\n"
    )
    return packages.build(load(root))


class World:
    """A run of a hand-made plan, with records put where a row wants them."""

    one: OutputRecord

    def __init__(self, tmp_path: Path, code: packages.CodePackage, steps: list[StepPlan]) -> None:
        self.store = LocalStore.from_url(str(tmp_path / "store"))
        self.plan = Plan(
            runtime="0.1.0",
            project="table",
            name="table",
            entrypoint=Entrypoint(module="work", qualname="table"),
            orchestrator="local",
            stack="local",
            steps=tuple(steps),
            code=Code(digest=code.digest),
        )
        publish_plan(self.store, self.plan, code)
        self.session = self.open()

    def open(self) -> Session:
        return join(self.store, self.plan.digest, "engine run", Submission(), in_process=True)

    def put(self, step: str, index: int | None = None, **fields: object) -> None:
        fields.setdefault("state", "succeeded")
        self.session.run.commit(Record(run=self.session.run.info.id, step=step, index=index, **fields))

    def call(self, index: int | None = None) -> StepResult:
        return run_step(self.session, "it", index)

    def finish(self) -> dict[str, int]:
        return self.session.run.store and finish_run(self.open()).steps


def task(name: str, **fields: object) -> StepPlan:
    fields.setdefault("outputs", (OutputPlan(name="output", type=INT, materializer="json"),))
    return StepPlan(name=name, entrypoint=Entrypoint(module="work", qualname="task"), **fields)


def lists(name: str) -> StepPlan:
    return task(name, outputs=(OutputPlan(name="output", type=NUMBERS, materializer="json"),))


def elements(count: int) -> OutputRecord:
    return OutputRecord(elements=(World.one.artifact,) * count)


GATE = Compare("==", Ref("given"), Const(1))
ALWAYS = Compare("==", Ref("given"), Const(1))


def build(kind: str, given: str, optional: bool) -> list[StepPlan]:
    """The plan of a row: its step is ``it``, the source in question ``source``."""
    wanted = TypeName(name="builtins:int", text="int", optional=optional)
    steps: list[StepPlan] = []
    inputs: dict[str, InputSpec] = {}
    guards: tuple[str, ...] = ()
    if given == "guard":
        steps.append(
            StepPlan(
                name="source", kind="gate", expression=ALWAYS, inputs={"given": InputSpec(source=Literal(value=1))}
            )
        )
        guards = ("source",)
    elif given == "output" or given == "constant":
        steps.append(task("source"))
        inputs["given"] = InputSpec(source=Output(step="source", output="output"), type=wanted)
    elif given == "list":
        steps.append(lists("source"))
        inputs["given"] = InputSpec(source=Element(step="source", output="output"), type=wanted)
    elif given == "mapped":
        steps.append(lists("root"))
        steps.append(
            task("source", inputs={"given": InputSpec(source=Element(step="root", output="output"), type=INT)})
        )
        source = Element if kind == "mapped" else Collected
        inputs["given"] = InputSpec(source=source(step="source", output="output"), type=wanted)
    if kind == "mapped" and given in {"guard", "constant"}:
        steps.append(lists("other"))
        inputs["other"] = InputSpec(source=Element(step="other", output="output"), type=INT)
    if kind == "gate":
        if not inputs:
            inputs["given"] = InputSpec(source=Literal(value=1))
        steps.append(StepPlan(name="it", kind="gate", expression=GATE, inputs=inputs, guards=guards))
    elif kind == "collector":
        shown = Entrypoint(module="work", qualname="show")
        outputs = (OutputPlan(name="output", type=TypeName(name="builtins:object"), materializer="json"),)
        steps.append(StepPlan(name="it", entrypoint=shown, inputs=inputs, outputs=outputs))
    else:
        steps.append(task("it", inputs=inputs, guards=guards))
    return steps


def settle(world: World, kind: str, given: str, state: str) -> None:
    """Put the records that a row presupposes."""
    if kind == "mapped" and given in {"guard", "constant"}:
        world.put("other", outputs={"output": elements(2)})
    count = 0 if state == "empty" else 2
    if given == "mapped" and state != "open":
        world.put("root", outputs={"output": elements(count)})
    if state == "skipped":
        world.put("source", state="skipped")
    elif given == "guard" and state in {"true", "false"}:
        world.put("source", value=state == "true")
    elif given == "list" and state != "open":
        world.put("source", outputs={"output": elements(count)})
    elif given == "mapped" and state in {"succeeded", "one element open"}:
        for index in range(2 if state == "succeeded" else 1):
            world.put("source", index, outputs={"output": World.one})
    elif state == "succeeded":
        world.put("source", outputs={"output": World.one})


@pytest.mark.parametrize("row", ROWS, ids=["-".join(row[:4]).replace(" ", "_") for row in ROWS])
def test_a_row(row, tmp_path, code):
    kind, given, state, needed, what, called, never = row
    world = World(tmp_path, code, build(kind, given, needed == "optional"))
    settle(world, kind, given, state)

    uncalled = _outcome_of_it(world)
    assert uncalled == never

    world = World(tmp_path / "again", code, build(kind, given, needed == "optional"))
    settle(world, kind, given, state)
    index = None if kind != "mapped" or (what == "is skipped") else (1 if state == "one element open" else 0)
    decision = DECISIONS.get(what.partition(" with")[0])
    if decision is not None:
        assert isinstance(decide(world.open(), "it", index), decision)
        other = World(tmp_path / "here", code, build(kind, given, needed == "optional"))
        settle(other, kind, given, state)
        here = settle_here(other.open(), "it", index)  # an engine that asks before it calls a worker
        assert here.state == "skipped" if decision is Skip else isinstance(here, Execute)
    result = world.call(index)
    assert result.exit_code == int(called), result.message
    if what == "is skipped":
        record = world.open().run.record("it", None)
        assert record is not None
        assert record.state == "skipped"
    if what.startswith("runs with"):
        record = world.open().run.record("it", index)
        assert record.inputs["given"].skipped is (what == "runs with None")
        if kind == "collector":
            shown = world.session.artifacts.load_output(record.outputs["output"], TypeName())
            assert shown == ([None] if what == "runs with None" else [[]])


def _outcome_of_it(world: World) -> str:
    """What the end of the run makes of ``it`` when nobody called it."""
    before = world.open()
    finish_run(before)
    record = world.open().run.record("it", None)
    if record is not None:
        return record.state
    if before.run.plan.by_name["it"].mapped:
        try:
            if before.resolver.count("it") == 0:
                return "nothing"
        except RunError:
            return "failed"
    return "failed"


@pytest.mark.parametrize("row", PAIRS, ids=[" and ".join(row[:2]) for row in PAIRS])
def test_two_inputs(row, tmp_path, code):
    steps, guards, inputs, puts = [], [], {}, []
    for number, text in enumerate(row[:2]):
        name = f"source{number}"
        if "guard" in text:
            steps.append(
                StepPlan(
                    name=name, kind="gate", expression=ALWAYS, inputs={"given": InputSpec(source=Literal(value=1))}
                )
            )
            guards.append(name)
            if "open" not in text:
                puts.append((name, {"state": "skipped"} if "skipped" in text else {"value": "true" in text}))
        else:
            steps.append(task(name))
            type_ = TypeName(name="builtins:int", optional="optional" in text)
            inputs["given" if number == 0 else "other"] = InputSpec(
                source=Output(step=name, output="output"), type=type_
            )
            if "skipped" in text:
                puts.append((name, {"state": "skipped"}))
    world = World(tmp_path, code, [*steps, task("it", guards=tuple(guards), inputs=inputs)])
    for name, fields in puts:
        world.put(name, **fields)
    assert world.call().exit_code == {"is skipped": 99, "waits": 1}[row[2]]


def test_the_table_covers_every_kind_of_step_and_state():
    assert {row[0] for row in ROWS} == {"task", "gate", "mapped", "collector"}
    assert {row[2] for row in ROWS} >= {"succeeded", "skipped", "open", "empty", "true", "false"}
    assert len(set(ROWS)) == len(ROWS)


def test_a_map_of_a_map_called_without_an_index_is_told_so_once_it_could_run(tmp_path, code):
    world = World(tmp_path, code, build("mapped", "mapped", optional=False))
    settle(world, "mapped", "mapped", "one element open")
    assert world.call(None).exit_code == 1
    assert "source.1" in world.call(None).message
    world.put("source", 1, outputs={"output": World.one})
    result = world.call(None)
    assert result.exit_code == 2
    assert result.message.startswith("the step it is mapped, and was called without an index")


def test_a_long_chain_that_never_ran_is_closed_by_looking_at_each_step_once(tmp_path, code, monkeypatch):
    chain = [
        task("s0"),
        *(
            task(f"s{n}", inputs={"given": InputSpec(source=Output(step=f"s{n - 1}", output="output"))})
            for n in range(1, 300)
        ),
    ]
    world = World(tmp_path, code, chain)
    session, looked = world.open(), []
    read = session.run.store.read
    monkeypatch.setattr(session.run.store, "read", lambda key: looked.append(key) or read(key))
    assert finish_run(session).steps == {"failed": 300}
    assert len(looked) < 2 * len(chain)
