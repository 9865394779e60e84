"""Steps are plain functions; the pipeline runs in this process on a temporary store."""

from pipeline import square, squares


def test_a_step_is_a_function():
    assert square(4) == 16


def test_the_pipeline_runs(turnout_stack):
    run = squares.run(stack=turnout_stack, count=3, threshold=10)
    assert run["total"].load() == 14
    assert run["report"].load() == "the squares add up to 14"
