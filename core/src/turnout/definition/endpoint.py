"""Endpoints: functions that answer requests with the steps and the results of a pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from turnout.base import names
from turnout.base.errors import DefinitionError
from turnout.definition import functions, places
from turnout.definition.pipeline import PipelineDefinition
from turnout.definition.signature import check_parameters
from turnout.model.values import shorten


class EndpointDefinition:
    """A function as an endpoint: ``name``, ``function``, and the ``pipeline`` whose results it serves."""

    def __init__(self, function: Callable[..., Any], name: str, pipeline: PipelineDefinition) -> None:
        self.function = function
        self.name = name
        self.pipeline = pipeline
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        """Refused: an endpoint answers where it is deployed.

        Raises:
            DefinitionError: always.
        """
        raise DefinitionError(
            f"the endpoint {self.name!r} is called",
            where=places.here(),
            why="its function only says which steps answer",
            fix="deploy it and send it rows, or call its steps in a test",
        )

    def __repr__(self) -> str:
        return f"<endpoint {self.name}>"


def endpoint(
    pipeline: PipelineDefinition, *, name: str | None = None
) -> Callable[[Callable[..., Any]], EndpointDefinition]:
    """Make a function an endpoint of a pipeline.

    Raises:
        DefinitionError: for what is no pipeline, or a function that cannot be an endpoint.
    """
    if not isinstance(pipeline, PipelineDefinition):
        raise DefinitionError(
            f"@endpoint takes the pipeline whose results it serves, not {shorten(pipeline)}",
            where=places.here(),
            fix="write @endpoint(flights), with the function that has @pipeline above it",
        )

    def decorate(function: Callable[..., Any]) -> EndpointDefinition:
        functions.check(function, "endpoint")
        check_parameters(function, "endpoint")
        own = function.__name__ if name is None else name
        names.check(own, "endpoint", places.defined(function), "@endpoint(…, name={})")
        return EndpointDefinition(function, own, pipeline)

    return decorate
