"""Steps in processes: an operator that starts an interpreter on the task's worker."""

from __future__ import annotations

from textwrap import indent
from typing import Any

from turnout.plugin_api import StepPlan
from turnout_airflow.launch.base import Kind, Launcher
from turnout_airflow.source import literal


class PythonLauncher(Launcher):
    """A process of an interpreter, on the worker of the task.

    Airflow copies the parameters of the DAG in every level of operators that takes arguments of its own, which is most
    of what parsing a task takes. So a pipeline without maps and conditions has an operator that takes none: the task's
    name says which step it is. In others, what starts the process is no operator itself, but for the operators to
    derive from beside Airflow's own.
    """

    bases = ("CallRuntime", "BaseOperator")

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
            *(["from tempfile import TemporaryDirectory"] if self.told else []),
        ]

    @property
    def sdk(self) -> list[str]:
        """What the operator derives from, and what it tells Airflow."""
        return ["BaseOperator", *(f"Airflow{one}Exception" for one in ("", "Fail", "Skip")), *super().sdk]

    @property
    def constants(self) -> str:
        """The interpreter."""
        return (
            f"PYTHON = {literal(self.settings.python) if self.settings.python else 'sys.executable'}  # has turnout\n"
        )

    @property
    def definitions(self) -> str:
        """The operators by which tasks are made."""
        if self.told:
            return super().definitions
        return _PLAIN.replace("@CALL", indent(_CALL.replace("@OUTCOME", ""), "        ")).replace("@KILL", _KILL)

    def task(
        self, kind: Kind, step: StepPlan | None, about: dict[str, Any], given: dict[str, Any], elements: str | None
    ) -> tuple[str, list[str], str]:
        """The call that makes a task."""
        return super().task(kind, step, about, given if self.told else {}, elements)

    def operator(self) -> str:
        """Starts the process, waits for it, and kills it where Airflow stops the task."""
        call = _CALL.replace("@OUTCOME", 'command += ["--outcome", str(outcome)]\n')
        told = _TOLD.replace("@CALL", indent(call, "    "))
        return _OPERATOR.replace("@CALL", indent(told, "        ")).replace("@KILL", _KILL)


_HOW = """\
A task starts a process of turnout's runtime, which finds plan, code and store by the
folder that this file lies in."""
_PLAIN = '''\
class RunStep(BaseOperator):
    """Run the step that the task is named after, in a process of turnout's runtime."""

    process = None

    @property
    def words(self):
        return ["step", "--step", self.task_id]

    def execute(self, context):
        run = context["dag_run"]
@CALL
@KILL

class FinishRun(RunStep):
    """Mark the end of the run, whatever has become of it."""

    words = ["finish"]


'''
_OPERATOR = '''\
class CallRuntime:
    """Call turnout's runtime in a process of its own; return what it tells of the outcome."""

    process = None

    def __init__(self, *, words, **given):
        super().__init__(**given)
        self.words = words

    def execute(self, context):
        run = context["dag_run"]
@CALL
@KILL

'''
_KILL = """\
    def on_kill(self):
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
"""
_CALL = """\
command = [PYTHON, "-m", "turnout.runtime", *self.words, "--plan", PLAN]
command += ["--engine-run", run.run_id, "--bundle", str(BUNDLE)]
@OUTCOMEself.process = subprocess.Popen(
    command,
    env={**os.environ, "TURNOUT_PARAMS": submission(run)},
    stdin=subprocess.DEVNULL,
    start_new_session=True,
)
code = self.process.wait()
if code == 99:
    raise AirflowSkipException("the step is skipped, as its record says")
if code == 2:
    raise AirflowFailException("another try would fail, too: see above")
if code != 0:
    raise AirflowException(f"exit code {code}: see above")
"""
_TOLD = """\
with TemporaryDirectory() as folder:
    outcome = Path(folder, "outcome.json")
@CALL    return json.loads(outcome.read_text(encoding="utf-8"))
"""
