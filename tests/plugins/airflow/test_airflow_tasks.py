"""What a reader of a DAG file sees of its tasks, and what their steps see of Airflow."""

import ast
import sys
from types import ModuleType, SimpleNamespace

import msgspec
import pytest

from turnout.model.expressions import Compare, Const, Ref
from turnout.plugin_api import Collected, Element, InputSpec, Output, OutputPlan, StepPlan, TypeName
from turnout.testing.plans import sample_plan, sample_step
from turnout_airflow.orchestrator import AirflowOrchestrator
from turnout_airflow.settings import AirflowSettings

LIST = OutputPlan(name="output", type=TypeName(name="builtins:int", text="int", collection=True))
OPTIONAL = TypeName(name="builtins:int", text="int | None", optional=True)


def source(plan, **settings):
    (data,) = AirflowOrchestrator(AirflowSettings(**settings)).compile(plan).files.values()
    return data.decode()


def tasks(text):
    """The arguments of each task by its id."""
    found = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            words = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if "task_id" in words:
                found[ast.literal_eval(words["task_id"])] = words
    return found


def of(step, kind=Output, **fields):
    return InputSpec(source=kind(step=step, output="output"), **fields)


def gate(name, **inputs):
    return StepPlan(name=name, kind="gate", inputs=inputs, expression=Compare(">", Ref(next(iter(inputs))), Const(3)))


STEPS = (
    sample_step("load", outputs=(LIST,)),
    sample_step("tidy", inputs={"x": of("load")}),
    gate("good", x=of("tidy")),
    sample_step("publish", inputs={"x": of("tidy")}, guards=("good",)),
    sample_step("tell", inputs={"x": of("publish")}),
    sample_step("either", inputs={"x": of("publish", type=OPTIONAL), "y": of("tidy")}),
    sample_step("after", inputs={"x": of("either")}),
    gate("again", x=of("publish")),
    sample_step("square", inputs={"x": of("load", Element), "y": of("tidy")}),
    sample_step("guarded", inputs={"x": of("load", Element)}, guards=("good",)),
    sample_step("label", inputs={"x": of("square", Element)}),
    sample_step("total", inputs={"x": of("label", Collected)}),
    sample_step("summed", inputs={"x": of("load", Element), "y": of("square", Collected)}),
    sample_step("hopeful", inputs={"x": of("load", Element), "y": of("publish", type=OPTIONAL)}),
    sample_step("last", inputs={"x": of("total")}),
)


def test_a_rule_stands_only_where_a_skip_can_arrive():
    """A mapped step without elements is a skip to Airflow, too."""
    ruled = {name for name, words in tasks(source(sample_plan(*STEPS))).items() if "trigger_rule" in words}
    assert ruled == {"tell", "either", "again", "total", "summed", "hopeful"}
    assert all(
        words.get("trigger_rule", "'none_failed'") == "'none_failed'"
        for words in tasks(source(sample_plan(*STEPS))).values()
    )


def test_a_gate_shows_what_it_goes_by():
    text = source(sample_plan(*STEPS))
    assert ast.literal_eval(tasks(text)["good"]["doc_md"]) == "Runs what it guards where\n\n    x > 3\n"
    assert 'good >> Label("x > 3") >> publish\n' in text
    assert "Label" not in source(sample_plan(*STEPS[:2]))


def test_elements_are_called_as_turnout_calls_them():
    named = {name for name, words in tasks(source(sample_plan(*STEPS))).items() if "map_index_template" in words}
    assert named == {"square", "guarded", "label", "summed", "hopeful"}
    (shown,) = {
        words["map_index_template"]
        for words in tasks(source(sample_plan(*STEPS))).values()
        if "map_index_template" in words
    }
    assert shown == "'{{ ti.task_id }}.{{ ti.map_index }}'"


def test_tags_that_come_to_the_same_are_written_once():
    text = source(sample_plan(tags={"note": "x" * 200, "team": "ops", "not": f"e:{'x' * 200}", "no": "t"}))
    (tags,) = (
        ast.literal_eval(word.value)
        for word in ast.walk(ast.parse(text))
        if isinstance(word, ast.keyword) and word.arg == "tags"
    )
    assert [tag.partition(":")[0] for tag in tags] == ["note", "team", "not", "no", "turnout"]
    assert len(set(tags)) == len(tags)
    alike = {f"k{'y' * 120}{n}": "v" for n in range(3)}
    text = source(sample_plan(tags=alike))
    assert text.count("y" * 98) == 1


VARIABLES = {
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://airflow:canary@db",
    "AIRFLOW__CORE__FERNET_KEY": "canary",
    "AIRFLOW_HOME": "/opt/airflow",
    "REGION": "eu",
}


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(
    ("settings", "env", "seen"),
    [
        ({}, (), set()),
        ({"variables": ["AIRFLOW__CORE__FERNET_KEY"]}, (), {"AIRFLOW__CORE__FERNET_KEY"}),
        ({}, ("AIRFLOW__CORE__FERNET_KEY", "REGION"), {"AIRFLOW__CORE__FERNET_KEY"}),
    ],
)
def test_a_step_sees_nothing_of_airflows_own_settings(tmp_path, monkeypatch, mapped, settings, env, seen):
    interpreter = tmp_path / "python"
    interpreter.write_text(
        '#!/bin/sh\nenv > "$(dirname "$0")/seen"\nfor word; do test "$last" = --outcome && echo "{}" > "$word"; last=$word; done\nexit 0\n'
    )
    interpreter.chmod(0o755)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    steps = [msgspec.structs.replace(STEPS[0], env=env), *([STEPS[1], STEPS[8]] if mapped else [])]
    namespace = _executed(source(sample_plan(*steps), **settings, python=str(interpreter)), monkeypatch)
    operator = namespace["RunStep"](**({"step": "load"} if mapped else {}))
    operator.task_id = "load"
    run = SimpleNamespace(
        conf={}, logical_date=None, run_after=SimpleNamespace(isoformat=lambda: "2026-01-01"), run_id="r",
        run_type=SimpleNamespace(value="manual"),
    )  # fmt: skip
    operator.execute({"dag_run": run})
    found = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines() if "=" in line)
    assert {name for name in found if name.startswith("AIRFLOW__")} == seen
    assert (found["AIRFLOW_HOME"], found["REGION"]) == ("/opt/airflow", "eu")
    assert '"started_by"' in found["TURNOUT_PARAMS"]


class _Operator:
    """What stands for Airflow's operator: arguments are taken and forgotten."""

    def __init__(self, **given):
        del given


def _executed(text, monkeypatch):
    """The names of a DAG file before its DAG, with nothing of Airflow."""
    for name in ("airflow", "airflow.sdk", "airflow.sdk.exceptions"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("airflow.sdk"):
            for alias in node.names:
                made = Exception if alias.name.endswith("Exception") else _Operator
                setattr(sys.modules[node.module], alias.name, made)
    namespace = {"__file__": __file__}
    exec(compile(ast.Module(tree.body[:-1], []), "dag.py", "exec"), namespace)
    return namespace
