"""A first pipeline: plain functions, called in a pipeline."""

from turnout import log_metric, pipeline, step, when


@step
def numbers(count: int) -> list[int]:
    """The numbers to work on: a list, so that a step can be mapped over it."""
    return list(range(1, count + 1))


@step
def square(number: int) -> int:
    """Runs once for each number."""
    return number * number


@step
def total(squares: list[int]) -> int:
    """Collects what the mapped step made."""
    result = sum(squares)
    log_metric("total", result)
    return result


@step
def report(result: int) -> str:
    """Runs only if the guard in the pipeline is true."""
    return f"the squares add up to {result}"


@pipeline
def squares(count: int = 5, threshold: int = 50):
    """Square some numbers and report their sum if it is large enough."""
    result = total(square.map(numbers(count)))
    with when(result > threshold):
        report(result)
