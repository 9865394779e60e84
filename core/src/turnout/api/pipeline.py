"""Pipelines that can be run: what ``@pipeline`` makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, overload

from turnout.definition.pipeline import PipelineDefinition, define

if TYPE_CHECKING:  # a worker imports this module with the user's: what only a submitter needs is imported late
    from turnout.api.run import Run
    from turnout.api.sweep import Sweep
    from turnout.model.plan import Plan
    from turnout.model.records import Options


class Pipeline(PipelineDefinition):
    """A pipeline: traced when it is first needed, planned and run by :meth:`run`."""

    def run(
        self,
        *,
        stack: str | None = None,
        at: datetime | str | None = None,
        tags: Mapping[str, str] | None = None,
        reuse: Run | str | None = None,
        from_: str | None = None,
        only: Sequence[str] = (),
        replace: Mapping[str, Any] | None = None,
        no_cache: bool = False,
        effects: bool | None = None,
        accept: Sequence[str] = (),
        params: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Run:
        """Run the pipeline and wait for its end; in a notebook its graph shows how far it is.

        Args:
            stack: the stack's name or file; else ``TURNOUT_STACK``, the project's, ``local``.
            at: the logical time; else now.
            tags: further tags of this run.
            reuse: an earlier run whose records are taken over, but for *from_* and its descendants, or for *only*.
            replace: values that stand in for steps, which then do not run: by the step's name its output, or for a
                step of several outputs a dict of all of them by name.
            no_cache: take nothing from the cache, and add nothing to it.
            effects: whether steps may change what lies outside the store, as ``Features(…).materialize`` does; else
                only the local engine lets them.
            accept: what the stack cannot give and the pipeline goes without, by name.
            params: parameters by name; those whose names are not options above may be given as keywords.

        Raises:
            RunError: when the run did not succeed; ``run`` is the :class:`Run`, and where the steps ran in this
                process ``__cause__`` is the user's own exception.
        """
        from turnout.api.failure import failed
        from turnout.api.launch import Launch
        from turnout.api.notebook import Picture, in_notebook

        self._check("run")
        options = _options(at, tags, reuse, from_, only, no_cache, effects)
        values = {**(params or {}), **more}
        launch = Launch.of(self, stack=stack, accept=tuple(accept), given=values)
        picture = Picture(launch.plan) if in_notebook() else None
        if picture is not None:
            launch.workspace.orchestrator.watch = picture
        handle = launch.submit(values, options, replace or {})
        try:
            state = handle.wait() if picture is None else picture.follow(handle)
        except KeyboardInterrupt:
            launch.cancel(handle)
            raise
        run = launch.ended(handle)
        state = run.ended(state)
        if state != "succeeded":
            raise failed(run, state, getattr(handle, "failure", None))
        return run

    def submit(
        self,
        *,
        stack: str | None = None,
        at: datetime | str | None = None,
        tags: Mapping[str, str] | None = None,
        accept: Sequence[str] = (),
        params: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Run:
        """Start the pipeline as :meth:`run` does, and return at once.

        :meth:`Run.wait` waits for its end. A run of the local engine lives in this process, and Python waits for it
        before it ends.
        """
        from turnout.api.launch import Launch
        from turnout.api.run import Run

        self._check("submit")
        values = {**(params or {}), **more}
        launch = Launch.of(self, stack=stack, accept=tuple(accept), given=values)
        handle = launch.submit(values, _options(at, tags, None, None, (), no_cache=False))
        handle.hold_process()
        run = Run(handle.run_id, workspace=launch.workspace)
        run.handle = handle
        return run

    def plan(self, *, stack: str | None = None, accept: Sequence[str] = ()) -> Plan:
        """The plan that a run on *stack* would go by; nothing is stored or started.

        Raises:
            PlanError: when the pipeline cannot be planned for the stack.
            UnsupportedError: naming all that the stack cannot give, unless accepted by name.
        """
        from turnout.api.launch import Launch

        return Launch.of(self, stack=stack, accept=tuple(accept)).plan

    def sweep(
        self,
        values: Mapping[str, Sequence[Any]] | None = None,
        *,
        max_parallel: int = 1,
        stack: str | None = None,
        at: datetime | str | None = None,
        tags: Mapping[str, str] | None = None,
        reuse: Run | str | None = None,
        from_: str | None = None,
        only: Sequence[str] = (),
        no_cache: bool = False,
        accept: Sequence[str] = (),
        params: Mapping[str, Any] | None = None,
        **more: Sequence[Any],
    ) -> Sweep:
        """Run the pipeline once for each combination of values, and wait for the end of all.

        A run that fails stops no other and raises nothing: the result says how each ended.

        Args:
            values: for each parameter that is varied its values; as keywords, too: ``depth=[4, 6, 8]``.
            max_parallel: how many runs are in progress at a time.
            params: the parameters that stay the same; the rest is as for :meth:`run`.

        Raises:
            ConfigError: before any run has started, for a parameter or value that does not fit.
        """
        from turnout.api.launch import Launch
        from turnout.api.sweep import sweep

        self._check("sweep")
        varied = {**(values or {}), **more}
        launch = Launch.of(self, stack=stack, accept=tuple(accept), given={**(params or {}), **varied})
        options = _options(at, tags, reuse, from_, only, no_cache)
        return sweep(launch, varied, params=params, options=options, max_parallel=max_parallel)

    def _check(self, method: str) -> None:
        from turnout.api import allowed

        allowed.check(f"{self.__name__}.{method}()", "start")
        allowed.check_repeatable(self)

    def _repr_html_(self) -> str:
        from turnout.model.drawing import draw

        return draw(self.spec.steps)


def _options(
    at: datetime | str | None,
    tags: Mapping[str, str] | None,
    reuse: Run | str | None,
    from_: str | None,
    only: Sequence[str],
    no_cache: bool,
    effects: bool | None = None,
) -> Options:
    from turnout.model.records import Options, Reuse

    earlier = None
    if reuse is None and (from_ is not None or only):
        from turnout.base.errors import ConfigError

        raise ConfigError("from_ and only say what is run again of an earlier run", fix="give it: reuse=run")
    if reuse is not None:
        run = reuse if isinstance(reuse, str) else reuse.id
        earlier = Reuse(run=run, from_=from_, only=tuple(only))
    time = at.isoformat() if isinstance(at, datetime) else at
    return Options(at=time, tags=dict(tags or {}), reuse=earlier, no_cache=no_cache, effects=effects)


@overload
def pipeline(function: Callable[..., Any], /) -> Pipeline: ...
@overload
def pipeline(**options: Any) -> Callable[[Callable[..., Any]], Pipeline]: ...
def pipeline(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function that calls steps a pipeline.

    Args:
        name: its name; else the function's.
        schedule: a cron expression, a preset such as ``@daily``, or the time between runs (``"6h"``).
        timezone: the schedule's time zone; UTC if not given.
        start: the first logical time of the schedule.
        catchup: whether to run for the times missed since *start*.
        tags: key and value by which its runs are found.
        options: an engine's own options by the engine's name: ``options={"airflow": {"owner": "ops"}}``.

    Raises:
        DefinitionError: at the definition, or when it is first traced, naming the line at fault.
    """
    if function is not None:
        return define(function, Pipeline)
    return lambda inner: define(inner, Pipeline, **options)
