"""A pipeline of kfp's own making, with what ours have: ``python own.py FILE`` compiles it by kfp's compiler."""

import sys

from kfp import compiler, dsl


@dsl.component
def load(count: int, rows: dsl.Output[dsl.Dataset]) -> list:
    return []


@dsl.component
def good(rows: dsl.Input[dsl.Dataset]) -> bool:
    return True


@dsl.component
def score(index: int, run: str, rows: dsl.Input[dsl.Dataset]):
    pass


@dsl.component
def finish(run: str, status: dsl.PipelineTaskFinalStatus):
    pass


@dsl.pipeline
def scores(count: int, rows: dsl.Input[dsl.Dataset], indices: list, wanted: bool):
    with dsl.If(wanted == True), dsl.ParallelFor(indices, parallelism=2) as index:  # noqa: E712 (kfp reads it)
        score(index=index, run=dsl.PIPELINE_JOB_ID_PLACEHOLDER, rows=rows).set_caching_options(False)


@dsl.pipeline(description="All of it.", display_name="everything")
def everything(count: int = 3):
    """All of it.

    Args:
        count: How many.
    """
    end = finish(run=dsl.PIPELINE_JOB_ID_PLACEHOLDER).set_caching_options(False)
    with dsl.ExitHandler(end):
        first = load(count=count).set_caching_options(False)
        first.set_retry(2, backoff_duration="2s", backoff_factor=2, backoff_max_duration="60s")
        first.set_cpu_limit("2").set_cpu_request("2").set_memory_limit("4Gi").set_memory_request("4Gi")
        first.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
        first.set_env_variable("A", "b")
        rows = first.outputs["rows"]
        asked = good(rows=rows).set_caching_options(False)
        scores(count=count, rows=rows, indices=first.outputs["Output"], wanted=asked.output)


compiler.Compiler().compile(everything, sys.argv[1])
