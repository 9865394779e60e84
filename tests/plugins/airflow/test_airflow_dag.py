"""DAG files, byte for byte; and what cannot be one."""

import ast
import subprocess
import sys

import msgspec
import pytest

from turnout.model.expressions import And, Compare, Const, Contains, Not, Ref
from turnout.plugin_api import (
    Collected,
    ConfigError,
    Element,
    InputSpec,
    Output,
    OutputPlan,
    ParamSpec,
    ParamType,
    PlanError,
    Retry,
    Schedule,
    StepPlan,
    TypeName,
    pysource,
)
from turnout.testing.cases import LONG
from turnout.testing.plans import sample_plan, sample_step
from turnout_airflow.dag import DagFile
from turnout_airflow.orchestrator import AirflowOrchestrator
from turnout_airflow.params import packable
from turnout_airflow.render import render
from turnout_airflow.settings import AirflowSettings, DagOptions

LIST = OutputPlan(name="output", type=TypeName(name="builtins:int", text="int", collection=True))
MORE = OutputPlan(name="more", type=TypeName(name="builtins:int", text="int", collection=True))
OPTIONAL = TypeName(name="builtins:int", text="int | None", optional=True)


def reads(**sources):
    return {name: InputSpec(source=source) for name, source in sources.items()}


def everything(**fields):
    """A plan that uses all that a DAG file has a form for."""
    steps = (
        sample_step("load", doc="Read what there is.\n\nAll of it.", outputs=(LIST, MORE)),
        sample_step(
            "prepare.clean",
            inputs=reads(rows=Output(step="load", output="output")),
            retry=Retry(count=3, delay=90, backoff=2.0),
            timeout=5400,
            options={"airflow": {"pool": "gpu", "outlets": ["clean rows"]}},
        ),
        StepPlan(
            name="good",
            kind="gate",
            inputs=reads(rows=Output(step="prepare.clean", output="output")),
            expression=And(Compare(">", Ref("rows"), Const(0)), Not(Contains(Const("x`\n"), Ref("rows")))),
        ),
        sample_step(
            "square",
            inputs=reads(
                number=Element(step="load", output="output"), size=Output(step="prepare.clean", output="output")
            ),
            guards=("good",),
        ),
        sample_step("label", inputs=reads(number=Element(step="square", output="output"))),
        sample_step("other", inputs=reads(number=Element(step="load", output="more"))),
        sample_step(
            "class",
            inputs={
                "squares": InputSpec(source=Collected(step="square", output="output"), type=OPTIONAL),
                **reads(
                    labels=Collected(step="label", output="output"), others=Collected(step="other", output="output")
                ),
            },
        ),
    )
    given = {
        "doc": "Everything at once.",
        "schedule": Schedule(cron="0 6 * * *", timezone="Europe/Berlin", start="2026-01-31T05:00:00Z", catchup=True),
        "tags": {"team": "ops"},
        "params": (
            ParamSpec(name="depth", type=ParamType(kind="int"), required=False, default=6, doc="How deep."),
            ParamSpec(name="level", type=ParamType(kind="str", choices=("low", "high"), optional=True), required=False),
            ParamSpec(name="day", type=ParamType(kind="datetime"), source="logical_time"),
        ),
        "options": {"airflow": {"owner": "ann", "max_active_runs": 1, "run_timeout": 7200}},
    }
    return sample_plan(*steps, **{**given, **fields})


def source(plan, **settings):
    (data,) = AirflowOrchestrator(AirflowSettings(**settings)).compile(plan).files.values()
    ast.parse(data)
    return data.decode()


def body(text):
    return text[text.index("with DAG(") :]


def test_a_small_pipeline(snapshot):
    assert source(sample_plan(), python="/opt/turnout/bin/python") == snapshot


def test_everything_at_once(snapshot):
    assert source(everything()) == snapshot


def test_files_are_as_a_formatter_leaves_them(as_formatted):
    quotes = 'it\'s "a" {{ x }}\n\tb "\u2028" \\ c\n'
    paths = [f"a.m.{LONG}", "a.n", f"b.{LONG}", "a.o", LONG]
    steps = [sample_step(path, doc=quotes * (1 + 2 * number)) for number, path in enumerate(paths)]
    alike = {"outlets": ["x" * 30, "y" * 60, 'q"'], "on_failure_callback": [f"a.b:{'f' * 30}_{n}" for n in range(3)]}
    last = sample_step(
        "last",
        doc="One line, but a long one; " * 9,
        inputs=reads(**{f"i{number}": Output(step=path, output="output") for number, path in enumerate(paths)}),
        options={"airflow": {**alike, "on_retry_callback": "b.c:Decide"}},
    )
    gates = [
        StepPlan(name=name, kind="gate", inputs=reads(v=Output(step="a.n", output="output")), expression=condition)
        for name, condition in [("g", Ref("v")), (f"g_{LONG}"[:99], Compare("<", Ref("v"), Const("x" * 90)))]
    ]
    guarded = [sample_step(name, guards=tuple(gate.name for gate in gates)) for name in ("guarded", f"h_{LONG}"[:99])]
    assets = Schedule(assets=("x" * 60, "y" * 70))
    wide = sample_plan(
        *steps, *gates, *guarded, last, doc=quotes * 4, tags={"long": "x" * 70, "longer": "y" * 90}, schedule=assets
    )
    late = {"options": {"airflow": {"deadline": 90, "on_deadline_callback": "a.b:late"}}}
    as_formatted([source(sample_plan()), source(everything()), source(everything(**late)), source(wide)])


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(cron="@daily"),
        Schedule(every=5400.0),
        Schedule(cron="@weekly", timezone="Asia/Tokyo"),
    ],
    ids=["preset", "span", "zone"],
)
@pytest.mark.parametrize("interval", [False, True], ids=["moment", "interval"])
def test_schedules(snapshot, schedule, interval):
    given = ParamSpec(name="since", type=ParamType(kind="datetime"), source="interval_start")
    text = source(sample_plan(schedule=schedule, params=(given,) if interval else ()))
    assert [line for line in text.splitlines() if "schedule=" in line or "import" in line] == snapshot
    assert ('options["interval"]' in text) is interval


def test_a_schedule_by_assets(snapshot):
    text = source(sample_plan(schedule=Schedule(assets=("clean rows", 'x"; import os #'))))
    assert [line for line in text.splitlines() if "schedule=" in line or "import" in line] == snapshot


def test_callbacks_are_imported_by_their_paths(snapshot):
    steps = [
        sample_step(
            "notify", options={"airflow": {"on_retry_callback": "team.alerts:notify", "depends_on_past": True}}
        ),
        sample_step(
            "fit",
            options={"airflow": {"on_failure_callback": ["team.alerts:notify", "pager:notify", "pager:submission"]}},
        ),
    ]
    given = {"on_success_callback": "team.alerts:done", "deadline": 7200, "on_deadline_callback": "team.alerts:late"}
    text = source(sample_plan(*steps, options={"airflow": given}))
    assert [line for line in text.splitlines() if "import" in line and "airflow" not in line] == snapshot
    assert "checked on Airflow\n3.2.2 and 3.3.2; parsing it takes the modules of its callbacks, too.\n" in text
    assert body(text) == snapshot


@pytest.mark.parametrize(
    "options",
    [
        {"deadline": 60},
        {"on_deadline_callback": "a:b"},
        {"on_failure_callback": "print('x')"},
        {"on_failure_callback": "a.b"},
        {"on_failure_callback": "a.import:b"},
        {"on_failure_callback": ["a:b", "a:None"]},
        {"on_failure_callback": ["a:b", "a:b\nimport os"]},
    ],
)
def test_callbacks_that_are_no_paths_are_refused(options):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(options, DagOptions)


def test_what_is_said_of_a_schedule_without_a_start():
    def notes(**fields):
        return AirflowOrchestrator(AirflowSettings()).compile(sample_plan(**fields)).notes

    since = ParamSpec(name="since", type=ParamType(kind="datetime"), source="interval_start")
    (said,) = notes(schedule=Schedule(cron="@daily"))
    assert said.endswith("its first run is the next one after the DAG is activated")
    (said,) = notes(schedule=Schedule(every=60.0))
    assert said.endswith("its first run begins as soon as the DAG is activated")
    (said,) = notes(schedule=Schedule(cron="@daily"), params=(since,))
    assert said.endswith("its first run is of the interval that ended last, as soon as the DAG is activated")
    assert notes(schedule=Schedule(assets=("table",))) == ()
    began = {"cron": "@daily", "start": "2026-01-01T00:00:00Z"}
    passed = "of the times since 2026-01-01T00:00:00Z that have passed when the schedule is activated,"
    assert notes(schedule=Schedule(**began)) == (f"{passed} the latest is run, at once, and no other",)
    assert notes(schedule=Schedule(**began, catchup=True)) == (f"{passed} all are run",)


def test_submitted_runs_have_a_dag_of_their_own_without_a_schedule():
    plan, settings = everything(), AirflowSettings()
    published, manual = DagFile(plan, settings), DagFile(plan, settings, manual=True)
    assert (published.dag_id, manual.dag_id) == ("sample.sample", "sample.sample.run")
    assert "schedule=None" in manual.source
    assert "start_date" not in manual.source
    assert published.version != manual.version


def test_the_version_follows_the_whole_file():
    plan = sample_plan()
    versions = {
        DagFile(plan, AirflowSettings()).version,
        DagFile(plan, AirflowSettings(python="/usr/bin/python3")).version,
        DagFile(msgspec.structs.replace(plan, doc="other"), AirflowSettings()).version,
    }
    assert len(versions) == 3
    file = DagFile(plan, AirflowSettings())
    assert f'"{file.version}"' in file.source


@pytest.mark.parametrize(
    ("kind", "default", "expected"),
    [
        ("int", 3, 'Param(3, type="integer")'),
        ("int", 2**70, 'Param("1180591620717411303424", '),
        ("float", 0.5, 'Param(0.5, type="number")'),
        ("bool", True, 'Param(True, type="boolean")'),
        ("datetime", "2026-01-01T00:00:00Z", 'Param("2026-01-01T00:00:00Z", type="string", format="date-time")'),
        ("date", "2026-01-01", 'Param("2026-01-01", type="string", format="date")'),
        ("timedelta", 90, 'Param(90, type=["number", "string"])'),
        ("json", {"a": [None]}, 'Param({"a": [None]})'),
        (
            "file",
            {"digest": "0", "suffix": ".csv"},
            'Param({"digest": "0", "suffix": ".csv"}, type=["string", "object"])',
        ),
    ],
)
def test_params_are_typed(kind, default, expected):
    text = source(
        sample_plan(params=(ParamSpec(name="x", type=ParamType(kind=kind), required=False, default=default),))
    )
    assert f'"x": {expected}' in " ".join(text.split()).replace("Param( ", "Param(").replace(", ),", "),")


def test_large_numbers_travel_as_texts():
    assert packable({"a": [2**63, -(2**63), 2**63 - 1], "b": True, "c": 1e300}) == {
        "a": [str(2**63), -(2**63), 2**63 - 1],
        "b": True,
        "c": 1e300,
    }


def test_texts_stay_texts():
    nasty = 'x\'; import os #"""\n{{ 1 }} %s \\'
    plan = sample_plan(sample_step(doc=nasty), doc=nasty, tags={"note": nasty * 9})
    tree = ast.parse(source(plan))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert nasty.strip() + "\n" in texts
    (tag,) = (text for text in texts if text.startswith("note:"))
    assert len(tag) == 100
    assert [node.names[0].name for node in ast.walk(tree) if isinstance(node, ast.Import)] == [
        "json", "os", "signal", "subprocess", "sys",
    ]  # fmt: skip


def test_a_docstring_is_no_file_name():
    assert 'doc_md="See README.md\\n"' in source(sample_plan(doc="See README.md"))


def test_names_of_variables_are_told_apart():
    steps = [sample_step(name) for name in ("a.b", "a_b", "RunStep", "None", "finish", "match")]
    text = body(source(sample_plan(*steps)))
    made = [line.split(" = ")[0].strip() for line in text.splitlines() if " = RunStep(" in line]
    assert made == ["a_b", "a_b_", "RunStep_", "None_", "finish_", "match_", "finish"]


@pytest.mark.parametrize("launch", ["python", "docker", "kubernetes"])
def test_no_step_and_no_callback_takes_a_name_that_the_file_uses(launch):
    late = {"options": {"airflow": {"deadline": 60, "on_deadline_callback": "a.b:late"}}}
    tree = ast.parse(source(everything(**late), launch=launch, image="worker:1"))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | _bound(*tree.body)
    assert {"range", "super", "Decide", "timedelta", "BUNDLE", "submission"} <= used
    names = sorted(name for name in used if not name.startswith("_"))
    callback = {"airflow": {"on_failure_callback": [f"team.alerts:{name}" for name in names]}}
    steps = [sample_step("first", options=callback), *map(sample_step, names)]
    plan = msgspec.structs.replace(everything(**late), steps=tuple(steps))
    tree = ast.parse(source(plan, launch=launch, image="worker:1"))
    rest = [node for node in tree.body[:-1] if _module(node) != "team.alerts"]
    tasks = {node.id for node in ast.walk(tree.body[-1]) if _stored(node)}
    alerts = _bound(*(node for node in tree.body if _module(node) == "team.alerts"))
    assert len(tasks) == len(names) + 2
    assert len(alerts) == len(names)
    read = {node.id for part in rest for node in ast.walk(part) if isinstance(node, ast.Name)}
    scopes = [node for node in rest if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    local = {
        getattr(node, "id", None) or getattr(node, "arg", None) or getattr(node, "name", None)
        for scope in scopes
        for node in ast.walk(scope)
        if _stored(node) or isinstance(node, (ast.arg, ast.ExceptHandler))
    }
    assert (read - local | _bound(*rest)) & (tasks - {"finish"} | alerts) == set()
    assert not tasks & alerts


def _stored(node):
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _module(node):
    return node.module if isinstance(node, ast.ImportFrom) else None


def _bound(*parts):
    inside = [node for part in parts for node in getattr(part, "body", []) + getattr(part, "handlers", [])]
    nodes = [*parts, *(node for node in inside if isinstance(node, (ast.Import, ast.ImportFrom)))]
    imported = [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
    made = {node.name for node in nodes if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    return made | {alias.asname or alias.name for node in imported for alias in node.names}


def test_what_cannot_be_compiled_is_refused():
    with pytest.raises(ConfigError, match="the step fit has no image, and the stack launches steps by docker"):
        source(sample_plan(), launch="docker")
    required = ParamSpec(name="x", type=ParamType(kind="int"))
    with pytest.raises(PlanError, match="has a schedule, and its parameter 'x' has no default"):
        source(sample_plan(params=(required,), schedule=Schedule(cron="@daily")))
    with pytest.raises(PlanError, match="has a name of 209 characters"):
        source(sample_plan(sample_step(".".join(["x" * 69] * 3))))


def test_the_renderer_is_imported_when_a_file_is_made():
    code = "import sys, turnout_airflow.orchestrator; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("text", ["x'; import os #", '""" + evil', "a\nb", "{{ 1 + 1 }}", "{% raw %}"])
def test_a_template_writes_nothing_that_is_no_literal(text):
    given = {"since": text, "tried": ["1", "2"], "provider": "", "callbacks": {}, "imports": text}
    with pytest.raises(TypeError, match="write it as a literal"):
        render("python.jinja", layout="dag.jinja", plan=sample_plan(), **given)
    assert ast.parse(source(sample_plan(name=text, project=text)))
    assert ast.literal_eval(pysource.literal(text)) == text
