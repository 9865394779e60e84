"""What an exported DAG costs: Airflow to parse it, against one written by hand; and turnout to export it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from measure import REPEATS, Result, project, python, root, turnout
from steps import SOURCE

ENGINES = Path(__file__).parents[2] / ".venv-engines" / "bin" / "python"
PARSED = (10, 100, 1000)
EXPORTED = (100, 1000, 10_000)
TARGET = 1.1
COMPILED = 1.3
TIMES = 2.0
GROWTH = 1.5
BY_HAND = '''"""A pipeline, each task of it a process."""

import json
import os
import subprocess
import sys

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException


def call(step):
    """Run a step as a process; 99 is a skip, 2 a failure for good."""
    run = get_current_context()["dag_run"]
    given = {**os.environ, "PARAMS": json.dumps(run.conf)}
    code = subprocess.run([sys.executable, "-m", "steps", step], env=given, check=False).returncode
    if code == 99:
        raise AirflowSkipException("skipped")
    if code == 2:
        raise AirflowFailException("failed for good")
    if code != 0:
        raise RuntimeError(f"exit code {code}")


with DAG(
    dag_id="by_hand",
    schedule=None,
    params={"start": Param(0, type=["integer", "string"], pattern="^\\\\s*[+-]?[0-9]+\\\\s*$")},
    tags=["by hand"],
):
'''
EXPORT = """
import json, time
from flow import flow
from turnout.api.launch import Launch
began = time.process_time()
launch = Launch.of(flow, stack="airflow.yaml")
assert launch.plan.digest
planned = time.process_time()
assert launch.export().files
print(json.dumps([planned - began, time.process_time() - planned]))
"""
COMPILE = """
import ast, gc, json, time
from flow import flow
from turnout.api.launch import Launch
from turnout_airflow.orchestrator import AirflowOrchestrator
from turnout_airflow.settings import AirflowSettings
plan, airflow = Launch.of(flow, stack="airflow.yaml").plan, AirflowOrchestrator(AirflowSettings())

def took(call, *given):
    began = time.process_time()
    call(*given)
    return time.process_time() - began

first = took(airflow.compile, plan)
(text,) = airflow.compile(plan).files.values()
gc.collect()
rounds = [(took(airflow.compile, plan), took(ast.parse, text)) for _ in range(1 + 2000 // len(plan.steps))]
print(json.dumps([first, *map(min, zip(*rounds))]))
"""
PARSE = """
import gc, json, sys, time
from airflow.dag_processing.dagbag import DagBag

def parse(file, size):
    gc.collect()
    began = time.process_time()
    bag = DagBag(file)
    taken = time.process_time() - began
    (dag,) = bag.dags.values()
    assert len(dag.tasks) == size + 1, bag.import_errors
    return taken

folder, repeats = sys.argv[1], json.loads(sys.argv[2])
ways = ("exported", "operators", "functions")
taken = {}
for size, times in repeats.items():
    rounds = [{way: parse(f"{folder}/{way}_{size}.py", int(size)) for way in ways} for _ in range(times + 1)]
    taken[size] = rounds[1:]
with open(f"{folder}/taken.json", "w") as file:
    json.dump(taken, file)
"""


def measure() -> list[Result]:
    """The processor time of parsing DAG files of three sizes, and of exporting them."""
    return [_parsing(), _compiling(), *_exporting()]


def _parsing() -> Result:
    name, target = "Airflow parses an exported DAG", f"≤ {TARGET} times one written by hand, of the same shape"
    if not ENGINES.exists():
        return Result(name, "not measured", target, None, "there is no environment with Airflow: `make test-engines`")
    folder = Path(tempfile.mkdtemp(dir=root()))
    for size in PARSED:
        exported = _project()
        turnout("export", "flow.py", "--stack", "airflow.yaml", "-o", "out", folder=exported, STEPS=str(size))
        (exported / "out" / "flow_dag.py").rename(folder / f"exported_{size}.py")
        (folder / f"operators_{size}.py").write_text(_by_hand(size, _operators(size)))
        (folder / f"functions_{size}.py").write_text(_by_hand(size, _functions(size)))
    repeats = {10: 60, 100: 20, 1000: max(REPEATS, 7)}
    settings = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
    }
    done = subprocess.run(
        [str(ENGINES), "-c", PARSE, str(folder), json.dumps(repeats)],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"parsing ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    taken = json.loads((folder / "taken.json").read_text())
    # the fastest of many, as the documentation of timeit advises for what is short: the rest is the machine's doing
    seconds = {size: {way: min(one[way] for one in rounds) for way in rounds[0]} for size, rounds in taken.items()}
    ratios = [one["exported"] / one["operators"] for one in seconds.values()]
    return Result(
        name,
        f"{', '.join(f'{ratio:.2f}' for ratio in ratios)} times, for {', '.join(f'{size:,}' for size in PARSED)} tasks",
        target,
        max(ratios) <= TARGET,
        "; ".join(
            f"{int(size):,} tasks: {1000 * one['exported']:.1f} ms, {1000 * one['operators']:.1f} ms written by hand with an "
            f"operator a task, {1000 * one['functions']:.1f} ms with a decorated function a task"
            for size, one in seconds.items()
        )
        + "; each the fastest of many",
    )


def _compiling() -> Result:
    folder = _project()
    taken = {size: json.loads(python(COMPILE, folder, STEPS=str(size)).output) for size in PARSED}
    ratios = [compiled / parsed for _, compiled, parsed in taken.values()]
    empty = min(python("").cpu for _ in range(5))
    first = min(json.loads(python(COMPILE, folder, STEPS="1").output)[0] for _ in range(3))
    return Result(
        "Compiling a plan to a DAG file",
        f"{', '.join(f'{ratio:.2f}' for ratio in ratios)} times, for {', '.join(f'{size:,}' for size in PARSED)} steps",
        f"≤ {COMPILED:g} times what Python's parser takes for the file",
        max(ratios) <= COMPILED,
        "; ".join(f"{size:,} steps: {1000 * compiled:.2f} ms" for size, (_, compiled, _) in taken.items())
        + f"; each the fastest of many. The first in a process imports Jinja2 and compiles the templates: {1000 * first:.0f} ms, "
        f"{first / empty:.1f} of an empty interpreter",
    )


def _exporting() -> list[Result]:
    folder = _project()
    measured: dict[int, list[list[float]]] = {size: [] for size in EXPORTED}
    for _ in range(max(REPEATS, 5)):
        for size in EXPORTED:
            measured[size].append(json.loads(python(EXPORT, folder, STEPS=str(size)).output))
    planned = {size: median([one[0] for one in measured[size]]) for size in EXPORTED}
    exported = {size: median([one[1] for one in measured[size]]) for size in EXPORTED}
    growth = (exported[10_000] / 10_000) / (exported[1000] / 1000)
    ratio = exported[1000] / planned[1000]
    return [
        Result(
            "Exporting 1,000 steps to Airflow",
            f"{ratio:.2f} times planning them",
            f"≤ {TIMES:g} times",
            ratio <= TIMES,
            f"the DAG file, plan and code package: {1000 * exported[1000]:.0f} ms; planning: {1000 * planned[1000]:.0f} ms",
        ),
        Result(
            "The same for 10,000 steps",
            f"{growth:.2f} times as much a step as for 1,000",
            f"≤ {GROWTH} times",
            growth <= GROWTH,
            "; ".join(f"{size:,} steps: {1000 * exported[size]:.0f} ms" for size in EXPORTED),
        ),
    ]


def _project() -> Path:
    folder = project(SOURCE)
    stack = {"extends": "local", "orchestrator": {"type": "airflow"}}
    (folder / "airflow.yaml").write_text(json.dumps(stack))
    return folder


def _by_hand(size: int, tasks: list[str]) -> str:
    edges = [f"s{number - 2} >> s{number}" for number in range(2, size)]
    end = f"[s{size - 2}, s{size - 1}] >> finish.as_teardown()"
    return BY_HAND + "".join(f"    {line}\n" for line in [*tasks, *edges, end])


def _rule(number: int) -> str:
    return ', trigger_rule="none_failed"' if number > 1 else ""


def _operators(size: int) -> list[str]:
    made = [
        f's{number} = PythonOperator(task_id="s{number}", python_callable=call, op_args=["s{number}"]{_rule(number)})'
        for number in range(size)
    ]
    return [*made, 'finish = PythonOperator(task_id="finish", python_callable=call, op_args=["finish"], retries=2)']


def _functions(size: int) -> list[str]:
    made = []
    for number in range(size):
        head = [f'@task(task_id="s{number}"{_rule(number)})', f"def work_{number}():", f'    call("s{number}")', ""]
        made += [*head, f"s{number} = work_{number}()"]
    return [*made, "@task(retries=2)", "def finish():", '    call("finish")', "", "finish = finish()"]
