"""The five pipelines in Kubeflow's SDK, written by hand and run by kfp.local: ``python kfp_pipelines.py CASE.json``.

``If`` and ``ParallelFor`` lie in pipelines of their own: a task outside cannot depend on a task inside one of them,
but it can come after the pipeline that holds it. No data passes between tasks, only a bool or indices.
"""

import json
import sys
from pathlib import Path
from typing import NamedTuple

from kfp import dsl, local


@dsl.component(install_kfp_package=False)
def call(run: dict, step: str, index: int = -1) -> NamedTuple("Outcome", [("value", bool), ("indices", list)]):
    """Call the runtime for one step. A skip is a success to Kubeflow, which has no other name for it."""
    import json
    import os
    import subprocess
    from typing import NamedTuple

    command = [run["python"], "-m", "turnout.runtime", "step", "--plan", run["plan"]]
    command += ["--engine-run", run["engine_run"], "--step", step, *(["--index", str(index)] if index >= 0 else [])]
    environment = {**os.environ, **run["environment"], "TURNOUT_PARAMS": json.dumps(run["submission"])}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout)
    if done.returncode not in (0, 99):
        raise SystemExit(done.returncode)
    outcome = json.loads(done.stdout.splitlines()[-1])
    indices = list(range(outcome.get("elements", {}).get("output", 0)))

    class Outcome(NamedTuple):
        value: bool
        indices: list

    return Outcome(outcome.get("values", {}).get(step, False), indices)


@dsl.component(install_kfp_package=False)
def end(run: dict, status: dsl.PipelineTaskFinalStatus):
    """The end of the run, whatever has become of it."""
    import json
    import os
    import subprocess

    command = [run["python"], "-m", "turnout.runtime", "finish", "--plan", run["plan"]]
    environment = {**os.environ, **run["environment"], "TURNOUT_PARAMS": json.dumps(run["submission"])}
    code = subprocess.run([*command, "--engine-run", run["engine_run"]], env=environment, check=False).returncode
    if code not in (0, 2):  # 2: the end is marked, and the run has failed, as Kubeflow knows by the step
        raise RuntimeError(f"the end could not be marked: {code}")


def step(run, name, index=-1):
    """One call, never answered from Kubeflow's own cache: whether a result can be reused is the runtime's decision."""
    return call(run=run, step=name, index=index).set_caching_options(enable_caching=False).set_display_name(name)


def finish(run):
    return end(run=run).set_caching_options(enable_caching=False)


@dsl.pipeline
def diamond(run: dict):
    with dsl.ExitHandler(finish(run)):
        split = step(run, "split").after(step(run, "load"))
        step(run, "join").after(step(run, "weigh").after(split), step(run, "count").after(split))


@dsl.pipeline
def each_number(run: dict, indices: list):
    with dsl.ParallelFor(indices) as index:
        square = step(run, "square", index)
        step(run, "label", index).after(square)


@dsl.pipeline
def fan(run: dict):
    with dsl.ExitHandler(finish(run)):
        numbers = step(run, "numbers")
        step(run, "total").after(each_number(run=run, indices=numbers.outputs["indices"]))


@dsl.pipeline
def if_great(run: dict, value: bool):
    with dsl.If(value == True):  # noqa: E712 - an expression of Kubeflow's
        step(run, "celebrate")


@dsl.pipeline
def if_good(run: dict, value: bool):
    with dsl.If(value == True):  # noqa: E712 - an expression of Kubeflow's
        publish = step(run, "publish")
        great = step(run, "great")
        if_great(run=run, value=great.outputs["value"]).after(publish)


@dsl.pipeline
def if_bad(run: dict, value: bool):
    with dsl.If(value == True):  # noqa: E712 - an expression of Kubeflow's
        step(run, "alert")


@dsl.pipeline
def guards(run: dict):
    with dsl.ExitHandler(finish(run)):
        measure = step(run, "measure")
        good, bad = step(run, "good").after(measure), step(run, "bad").after(measure)
        then = if_good(run=run, value=good.outputs["value"])
        otherwise = if_bad(run=run, value=bad.outputs["value"])
        step(run, "summary").after(then, otherwise)
        step(run, "archive").after(then)


@dsl.pipeline
def retry(run: dict):
    with dsl.ExitHandler(finish(run)):
        flaky = step(run, "flaky").set_retry(num_retries=2, backoff_duration="1s", backoff_factor=1)
        step(run, "after").after(flaky)


@dsl.pipeline
def parameters(run: dict):
    with dsl.ExitHandler(finish(run)):
        step(run, "describe")
        step(run, "read")


if __name__ == "__main__":
    case = Path(sys.argv[1])
    given = json.loads(case.read_text(encoding="utf-8"))
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(case.parent / "kfp"))
    globals()[given.pop("pipeline")](run=given)
