"""The parts of a DAG file that are the same in all: its head, and the functions that call turnout's runtime."""

from __future__ import annotations

HEAD = '''\
"""The pipeline @NAME of the project @PROJECT as an Airflow DAG, for Airflow 3.3 and newer.

Made by turnout; change the pipeline, not this file. Parsing it takes Airflow alone. A task starts a process
of turnout's runtime, which finds plan, code and store by the folder that this file lies in.
"""

@IMPORTS
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

BUNDLE = Path(__file__).parent
PLAN = @PLAN
PYTHON = @PYTHON  # has turnout


'''
LAUNCH = '''\
def call_runtime(*words):
    """Call turnout's runtime in a process of its own; return what it tells of the outcome."""
    context = get_current_context()
    run = context["dag_run"]
    params = dict(run.conf or {})
    options = {
        "at": (run.logical_date or run.run_after).isoformat(),
        "started_by": f"airflow ({run.run_type.value})",
    }
@INTERVAL    options.update(params.pop("turnout.options", {}))
    with TemporaryDirectory() as folder:
        outcome = Path(folder, "outcome.json")
        command = [PYTHON, "-m", "turnout.runtime", *words, "--plan", PLAN]
        command += ["--engine-run", run.run_id, "--bundle", str(BUNDLE), "--outcome", str(outcome)]
        process = subprocess.Popen(
            command,
            env={**os.environ, "TURNOUT_PARAMS": json.dumps({"params": params, "options": options})},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        # Airflow calls this at a timeout, and when the task is stopped from outside.
        context["task"].on_kill = lambda: os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        if code == 99:
            raise AirflowSkipException("the step is skipped, and on record as skipped")
        if code == 2:
            raise AirflowFailException("another try would fail as well; the reason is above")
        if code != 0:
            raise AirflowException(f"the step failed with exit code {code}; the reason is above")
        return json.loads(outcome.read_text(encoding="utf-8"))


'''
INTERVAL = """\
    if run.data_interval_start and run.data_interval_end:
        ends = run.data_interval_start, run.data_interval_end
        options["interval"] = [end.isoformat() for end in ends]
"""
STEP = '''\
@task
def run_step(step, index=None, count=None):
    """Run a step, or one element of a mapped one; for a list that is mapped over, return its indices."""
    element = [] if index is None else ["--index", str(index)]
    outcome = call_runtime("step", "--step", step, *element)
    return None if count is None else list(range(outcome["elements"][count]))


'''
DECIDE = '''\
@task.short_circuit(ignore_downstream_trigger_rules=False)
def decide(step):
    """Evaluate a condition; where it is false, what it guards is skipped."""
    return call_runtime("step", "--step", step)["values"][step]


'''
FINISH = '''\
@task
def finish_run():
    """Mark the end of the run, whatever has become of it."""
    call_runtime("finish")


'''
