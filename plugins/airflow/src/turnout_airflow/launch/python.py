"""Steps in processes: decorated functions that start an interpreter on the task's worker."""

from __future__ import annotations

from typing import Any

from turnout.plugin_api import StepPlan
from turnout_airflow.launch.base import Kind, Launcher
from turnout_airflow.source import arguments, literal


class PythonLauncher(Launcher):
    """A process of an interpreter, on the worker of the task."""

    @property
    def how(self) -> str:
        """Where the process looks."""
        return _HOW

    @property
    def standard(self) -> list[str]:
        """What starting processes takes."""
        modules = ["json", "os", "signal", "subprocess", *([] if self.settings.python else ["sys"])]
        return [
            *(f"import {name}" for name in modules),
            "from pathlib import Path",
            "from tempfile import TemporaryDirectory",
        ]

    @property
    def sdk(self) -> list[str]:
        """Decorators."""
        return ["get_current_context", "task"]

    @property
    def others(self) -> list[str]:
        """What a task tells Airflow."""
        return ["from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException"]

    @property
    def constants(self) -> str:
        """The interpreter."""
        return (
            f"PYTHON = {literal(self.settings.python) if self.settings.python else 'sys.executable'}  # has turnout\n"
        )

    @property
    def definitions(self) -> str:
        """Decorated functions."""
        return "".join([_CALL, _STEP if self.steps else "", _DECIDE if self.gates else "", _FINISH])

    def task(
        self, kind: Kind, step: StepPlan | None, about: dict[str, Any], given: dict[str, Any], elements: str | None
    ) -> tuple[str, list[str], str]:
        """A call of a decorated function."""
        words = ", ".join(arguments(given))
        end = f"({words})" if elements is None else f".partial({words}).expand(index={elements})"
        return f"{kind}.override", arguments(about), end


_HOW = """\
A task starts a process of turnout's runtime, which finds plan, code and store by the folder that this file lies in."""
_CALL = '''\
def call_runtime(*words):
    """Call turnout's runtime in a process of its own; return what it tells of the outcome."""
    context = get_current_context()
    run = context["dag_run"]
    with TemporaryDirectory() as folder:
        outcome = Path(folder, "outcome.json")
        command = [PYTHON, "-m", "turnout.runtime", *words, "--plan", PLAN]
        command += ["--engine-run", run.run_id, "--bundle", str(BUNDLE), "--outcome", str(outcome)]
        process = subprocess.Popen(
            command,
            env={**os.environ, "TURNOUT_PARAMS": submission(run)},
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
_STEP = '''\
@task
def run_step(step, index=None, count=None):
    """Run a step, or one element of a mapped one; for a list that is mapped over, return its indices."""
    element = [] if index is None else ["--index", str(index)]
    outcome = call_runtime("step", "--step", step, *element)
    return None if count is None else list(range(outcome["elements"][count]))


'''
_DECIDE = '''\
@task.short_circuit(ignore_downstream_trigger_rules=False)
def decide(step):
    """Evaluate a condition; where it is false, what it guards is skipped."""
    return call_runtime("step", "--step", step)["values"][step]


'''
_FINISH = '''\
@task
def finish_run():
    """Mark the end of the run, whatever has become of it."""
    call_runtime("finish")


'''
