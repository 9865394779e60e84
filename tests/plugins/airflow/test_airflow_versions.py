"""DAG files import what each Airflow 3 has, held against names that were looked up in its releases."""

import ast
import builtins
from types import SimpleNamespace

import pytest

from turnout.plugin_api import ParamSpec, ParamType, Retry, Schedule, StepPlan
from turnout.testing.plans import sample_plan, sample_step
from turnout_airflow.orchestrator import AirflowOrchestrator
from turnout_airflow.settings import AirflowSettings

EXCEPTIONS = "AirflowException AirflowFailException AirflowSkipException"
INTERVALS = "CronDataIntervalTimetable DeltaDataIntervalTimetable"
TRIGGERS = "CronTriggerTimetable DeltaTriggerTimetable"
FIRST = {
    "airflow.sdk": "DAG Asset BaseOperator Param TaskGroup",
    "airflow.sdk.exceptions": "AirflowRuntimeError",
    "airflow.exceptions": EXCEPTIONS,
    "airflow.providers.standard.utils.skipmixin": "SkipMixin",
    "airflow.timetables.interval": INTERVALS,
    "airflow.timetables.trigger": TRIGGERS,
}
LATER = {
    "airflow.sdk": f"{FIRST['airflow.sdk']} {INTERVALS} {TRIGGERS}"
    " SkipMixin DeadlineAlert DeadlineReference SyncCallback",
    "airflow.sdk.exceptions": EXCEPTIONS,
}
"""Without the old places: there are some still, but those of exceptions warn."""
RELEASES = {
    "3.0.6": FIRST,
    "3.1.8": {**FIRST, "airflow.sdk.exceptions": "AirflowRuntimeError AirflowException"},
    "3.2.2": LATER,
    "3.3.2": LATER,
}
OLD = ("3.0.6", "3.1.8")
PROVIDERS = {
    "airflow.providers.docker.exceptions": "DockerContainerFailedException",
    "airflow.providers.docker.operators.docker": "DockerOperator",
    "airflow.providers.cncf.kubernetes.operators.pod": "KubernetesPodOperator",
    "docker.types": "DeviceRequest Mount",
    "kubernetes.client": "models",
}
SCHEDULES = [
    None,
    Schedule(cron="0 6 * * *", timezone="Europe/Berlin"),
    Schedule(cron="@daily"),
    Schedule(every=90.0),
    Schedule(assets=("table",)),
]
LATE = {"airflow": {"deadline": 60, "on_deadline_callback": "a.b:late"}}


def source(launch, *steps, schedule=None, interval=False, **fields):
    params = [ParamSpec(name="depth", type=ParamType(kind="int"), required=False, default=6)]
    if interval:
        params.append(ParamSpec(name="since", type=ParamType(kind="datetime"), source="interval_start"))
    steps = steps or (sample_step("a.b"), StepPlan(name="good", kind="gate"))
    plan = sample_plan(*steps, schedule=schedule, params=tuple(params), **fields)
    (data,) = AirflowOrchestrator(AirflowSettings(launch=launch, image="worker:1")).compile(plan).files.values()
    return data.decode()


def imported(text, release):
    """The names that the imports of a file bind where that Airflow is.

    Raises:
        ImportError: as there.
    """
    has = {**PROVIDERS, **RELEASES[release]}

    def find(name, _globals=None, _locals=None, fromlist=(), _level=0):
        if name.partition(".")[0] not in {"airflow", "docker", "kubernetes"}:
            return __import__(name, fromlist=fromlist)
        if name not in has:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return SimpleNamespace(__name__=name, **dict.fromkeys(has[name].split(), name))

    imports = [node for node in ast.parse(text).body if isinstance(node, (ast.Import, ast.ImportFrom, ast.Try))]
    found = {"__builtins__": {**vars(builtins), "__import__": find}}
    exec(compile(ast.Module(imports, []), "dag.py", "exec"), found)
    return found


def missing(text, found):
    """Names that a file reads and neither imports nor makes."""
    nodes = list(ast.walk(ast.parse(text)))
    made = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    made |= {node.name for node in nodes if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.ExceptHandler))}
    made |= {node.arg for node in nodes if isinstance(node, ast.arg)} | {"__file__"}
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return read - made - set(found) - set(vars(builtins))


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("launch", ["python", "docker", "kubernetes"])
def test_what_a_file_uses_is_there(launch, release):
    for schedule in SCHEDULES:
        for interval in (False, True) if schedule and not schedule.assets else (False,):
            text = source(launch, schedule=schedule, interval=interval)
            assert not missing(text, imported(text, release))
            assert "as a DAG for Airflow 3.0 and newer." in text


@pytest.mark.parametrize("launch", ["python", "docker", "kubernetes"])
def test_a_deadline_takes_a_newer_airflow_and_the_file_says_so(launch):
    text = source(launch, options=LATE)
    assert "as a DAG for Airflow 3.2 and newer." in text
    for release in RELEASES:
        if release in OLD:
            with pytest.raises(ImportError, match="cannot import name 'DeadlineAlert'"):
                imported(text, release)
        else:
            assert not missing(text, imported(text, release))


@pytest.mark.parametrize(
    ("backoff", "given", "since"),
    [(1.0, None, "3.0"), (2.0, "True", "3.0"), (1.5, "1.5", "3.2"), (3.0, "3.0", "3.2")],
)
def test_delays_that_double_are_of_every_airflow(backoff, given, since):
    text = source("python", sample_step(retry=Retry(count=2, delay=9, backoff=backoff)))
    words = [word for word in ast.walk(ast.parse(text)) if isinstance(word, ast.keyword)]
    found = [ast.unparse(word.value) for word in words if word.arg == "retry_exponential_backoff"]
    assert found == ([] if given is None else [given])
    assert f"as a DAG for Airflow {since} and newer." in text
    never = source("python", sample_step(retry=Retry(count=0, backoff=backoff)))
    assert "as a DAG for Airflow 3.0 and newer." in never


@pytest.mark.parametrize(
    ("retry", "arguments"),
    [
        (Retry(), {}),
        (Retry(never=True), {"retries": "0"}),
        (Retry(count=2), {"retries": "2", "retry_delay": "timedelta(seconds=0)"}),
        (Retry(count=2, delay=7200.0), {"retries": "2", "retry_delay": "timedelta(hours=2)"}),
        (
            Retry(count=3, delay=7200.0, backoff=2.0),
            {"retries": "3", "retry_delay": "timedelta(hours=2)", "retry_exponential_backoff": "True"},
        ),
    ],
)
def test_a_site_has_its_say_only_where_nobody_else_has(retry, arguments):
    (task, *_) = (
        node for node in ast.walk(ast.parse(source("python", sample_step(retry=retry)))) if _makes(node, "RunStep")
    )
    found = {word.arg: ast.unparse(word.value) for word in task.keywords}
    assert {name: value for name, value in found.items() if "retr" in name} == arguments
    assert "default_args" not in source("python")
    assert 'default_args={"owner": "ann"},' in source("python", options={"airflow": {"owner": "ann"}})


def _makes(node, operator):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == operator
