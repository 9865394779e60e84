"""The five pipelines as Airflow DAGs, written by hand: every task is a call of turnout's runtime as a process.

Airflow parses this file, which therefore imports Airflow alone. What an export would hold as literals
(the plans' digests, the store) is in ``settings.json`` beside it.
"""

import json
import os
import shlex
import subprocess
from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import ShortCircuitOperator
from airflow.sdk import DAG, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

SETTINGS = json.loads((Path(__file__).parent / "settings.json").read_text(encoding="utf-8"))
PLANS = SETTINGS["plans"]
ENVIRONMENT = SETTINGS["environment"]
PYTHON = SETTINGS["python"]

SUBMISSION = """{{ {
    "params": dag_run.conf.get("params", {}),
    "options": {"at": (dag_run.logical_date or dag_run.run_after).isoformat(), "started_by": "airflow"}
} | tojson }}"""
TEMPLATED = {**ENVIRONMENT, "TURNOUT_PARAMS": SUBMISSION, "ENGINE_RUN": "{{ run_id }}"}
CALLED_ALWAYS = "none_failed"
CALLED_UNLESS_SKIPPED = "all_success"


def command(*arguments):
    """The runtime's command line for bash; what is known only when the task runs comes from its environment."""
    return f'exec {shlex.join([PYTHON, "-m", "turnout.runtime", *arguments])} --engine-run "$ENGINE_RUN"'


def step(name, trigger_rule=CALLED_ALWAYS, **options):
    """A step as a bash task: exit 99 is Airflow's skip, the last line of its output its XCom."""
    return BashOperator(
        task_id=name,
        bash_command=command("step", "--plan", plan(), "--step", name),
        env=TEMPLATED,
        append_env=True,
        skip_on_exit_code=99,
        output_processor=json.loads,
        trigger_rule=trigger_rule,
        **options,
    )


def mapped(name, indices):
    """A mapped step as a Python task, expanded over nothing but indices."""
    digest = plan()

    @task(task_id=name, trigger_rule=CALLED_ALWAYS)
    def element(index):
        context = get_current_context()
        run = context["dag_run"]
        at = (run.logical_date or run.run_after).isoformat()
        submission = {"params": run.conf.get("params", {}), "options": {"at": at, "started_by": "airflow"}}
        arguments = ["step", "--plan", digest, "--step", name, "--index", str(index), "--engine-run", run.run_id]
        done = subprocess.run(
            [PYTHON, "-m", "turnout.runtime", *arguments],
            env={**os.environ, **ENVIRONMENT, "TURNOUT_PARAMS": json.dumps(submission)},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        print(done.stdout)
        if done.returncode == 99:
            raise AirflowSkipException(name)
        if done.returncode == 2:
            raise AirflowFailException(name)
        if done.returncode != 0:
            raise AirflowException(name)

    return element.expand(index=indices)


@task(trigger_rule=CALLED_ALWAYS)
def indices(outcome):
    """All that Airflow learns of a list: how long it is."""
    return list(range(outcome["elements"]["output"]))


def only_if(gate, name):
    """Airflow's own skip of what a gate guards: the runtime is then not called at all."""
    return ShortCircuitOperator(
        task_id=f"only_if_{name}",
        python_callable=lambda outcome: outcome["values"][name],
        op_args=[gate.output],
        ignore_downstream_trigger_rules=False,
    )


def finish(*ends):
    """The end of the run, whatever has become of it."""
    last = BashOperator(
        task_id="finish",
        bash_command=command("finish", "--plan", plan()),
        env=TEMPLATED,
        append_env=True,
    )
    list(ends) >> last.as_teardown(on_failure_fail_dagrun=True)


def plan():
    return PLANS[DAG_IDS[-1]]


DAG_IDS = []


def dag(name):
    DAG_IDS.append(name)
    return DAG(name, schedule=None)


with dag("diamond"):
    parts = step("load") >> step("split")
    join = step("join")
    parts >> [step("weigh"), step("count")] >> join
    finish(join)

with dag("fan"):
    numbers = step("numbers")
    every = indices(numbers.output)
    squares = mapped("square", every)
    labels = mapped("label", every)
    total = step("total")
    squares >> labels >> total
    finish(total)

with dag("guards"):
    measure, summary, archive = step("measure"), step("summary"), step("archive")
    good, great, bad = step("good"), step("great", CALLED_UNLESS_SKIPPED), step("bad")
    publish, celebrate = step("publish", CALLED_UNLESS_SKIPPED), step("celebrate", CALLED_UNLESS_SKIPPED)
    alert = step("alert", CALLED_UNLESS_SKIPPED)
    measure >> good >> only_if(good, "good") >> [publish, great]
    [publish, great >> only_if(great, "great")] >> celebrate
    measure >> bad >> only_if(bad, "bad") >> alert
    [publish, alert] >> summary
    publish >> archive
    finish(celebrate, summary, archive)

with dag("retry"):
    after = step("after")
    step("flaky", retries=2, retry_delay=timedelta(seconds=1)) >> after
    finish(after)

with dag("parameters"):
    finish(step("describe"), step("read"))
