"""The DAG file of a plan, as a person would write it: Airflow's own terms, values as literals, one launch function."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from functools import cache, cached_property
from typing import Any

import msgspec

from turnout.plugin_api import Collected, Graph, Output, Plan, Retry, StepPlan, digest, options_of, pysource
from turnout.plugin_api import render as render_expression
from turnout_airflow import callbacks
from turnout_airflow.imports import IMPORTED, imports
from turnout_airflow.launch.docker import DockerLauncher
from turnout_airflow.launch.kubernetes import KubernetesLauncher
from turnout_airflow.launch.python import PythonLauncher
from turnout_airflow.params import params
from turnout_airflow.render import program, render
from turnout_airflow.settings import FINISH, AirflowSettings, DagOptions, TaskOptions

LAUNCHERS = {"python": PythonLauncher, "docker": DockerLauncher, "kubernetes": KubernetesLauncher}
"""How steps are started, as the stack calls it."""
FRAME = frozenset({"BUNDLE", "ImportError", "PLAN", "Path", "__file__", "finish"})
"""The names that every file has, whatever its program: those of ``dag.jinja`` and of the imports' own."""
OPTIONS = "turnout.options"
"""The key of a run's configuration under which a submitter says more than parameters; no parameter has a dot."""
LONGEST_TAG = 100
LONGEST_VARIABLE = 40
"""How many characters of a step's name are the name of its variable: two of them fit onto a line."""
ELEMENT = "{{ ti.task_id }}.{{ ti.map_index }}"
"""What Airflow shows an element as: what turnout calls it."""
DOUBLING = {1.0: False, 2.0: True}
"""Growths of a delay that every Airflow 3 knows, as it calls them; others take 3.2."""
FINISH_DELAY = 10
"""How many seconds lie between two tries to mark the end of a run; Airflow's own five minutes hold its end up."""
TRIED = {"3.0": "3.0.6", "3.1": "3.1.8", "3.2": "3.2.2", "3.3": "3.3.2"}
"""The versions of Airflow that the files were tried on; with providers on the last of them only."""


class DagFile:
    """The DAG file of a plan.

    Args:
        manual: the DAG of runs that are submitted one by one: under an id of its own, without a schedule, so that
            trying something out never touches what is published.
    """

    def __init__(self, plan: Plan, settings: AirflowSettings, *, manual: bool = False) -> None:
        self.plan = plan
        self.options = options_of(plan, DagOptions)
        self.manual = manual
        self.dag_id = dag_id(plan, manual=manual)
        self._schedule = None if manual else plan.schedule
        self._graph = Graph(plan)
        self._launcher = LAUNCHERS[settings.launch](plan, settings)
        self._program = program(self._launcher.template, frozenset(self._launcher.slots.items()))
        reserved = IMPORTED | FRAME | self._program.names
        self._callbacks = callbacks.names(plan, reserved)
        self._variables = self._named({*reserved, *self._callbacks.values(), *keyword.softkwlist})

    @cached_property
    def source(self) -> str:
        """The file's text, which bears its own version as a tag of the DAG."""
        return self._render(self.version)

    @cached_property
    def version(self) -> str:
        """What tells this file from any other of the DAG."""
        return f"turnout:{digest(self._render('').encode())[:16]}"

    def _render(self, version: str) -> str:
        return render(self._launcher.template, **self._parts, dag=_opening([*self._dag, *self._tags(version)]))

    @cached_property
    def _parts(self) -> dict[str, Any]:
        """What the template is given of the plan, but for the line that opens the DAG, which names the version."""
        since = self._since()
        body = {"tasks": _lines(self._tasks()), "finish": self._finish(), "edges": _lines(self._edges())}
        return {
            **self._launcher.slots,
            **body,
            "layout": "dag.jinja",
            "plan": self.plan,
            "since": since,
            "tried": [tried for version, tried in TRIED.items() if version >= since],
            "provider": self._launcher.provider,
            "callbacks": self._callbacks,
            "imports": self._imports(body),
            "program": self._program.text,
        }

    def _imports(self, body: dict[str, pysource.Code]) -> pysource.Code:
        """The imports, which follow from all that the file uses."""
        used, opening = FRAME | self._program.names, _opening(self._dag)
        for part in (body["finish"], body["tasks"], body["edges"]):
            # tasks and edges are long, and seldom use what nothing else does
            if part is body["finish"] or any(name in part for name in IMPORTED - used):
                used |= pysource.globals_of(f"{opening}\n    {part}")
        return pysource.Code(imports(used & IMPORTED, tuple(callbacks.imports(self._callbacks))))

    def _since(self) -> str:
        """The first version of Airflow that has what the file asks for."""
        retries = [step.retry for step in self.plan.steps if step.retry.count]
        newer = self.options.deadline is not None or any(retry.backoff not in DOUBLING for retry in retries)
        return "3.2" if newer else "3.0"

    def _named(self, used: set[str]) -> dict[str, str]:
        """A variable for each step, for each group (``a.b.``), and for each further list (``step:output``)."""
        groups = [".".join(path) + "." for path in self._graph.groups]
        further = [f"{name}:{output}" for name, outputs in self._graph.lists.items() for output in outputs[1:]]
        plain = str.maketrans(".:", "__")
        names = {
            name: name.rstrip(".").translate(plain)[:LONGEST_VARIABLE]
            for name in (*self.plan.by_name, *groups, *further)
        }
        return pysource.distinct(names, used)

    # the DAG

    def _timetable(self) -> Any:
        """When Airflow starts runs, in terms that no setting of the site changes the meaning of."""
        schedule = self._schedule
        if schedule is None:
            return None
        if schedule.assets:
            return [*map(_asset, schedule.assets)]
        kind = "DataIntervalTimetable" if self._launcher.slots["interval"] else "TriggerTimetable"
        if schedule.every is not None:
            return pysource.call(f"Delta{kind}", pysource.span(schedule.every))
        return pysource.call(f"Cron{kind}", schedule.cron, timezone=schedule.timezone)

    @cached_property
    def _dag(self) -> list[str]:
        """The DAG's arguments, but for its tags."""
        plan, schedule, options = self.plan, self._schedule, self.options
        given: dict[str, Any] = {"dag_id": self.dag_id, "schedule": self._timetable()}
        if plan.doc:
            given["description"] = plan.doc.strip().splitlines()[0] if plan.doc.strip() else ""
            given["doc_md"] = pysource.text(_doc(plan.doc))
        if schedule is not None:
            if schedule.start is not None:
                given["start_date"] = pysource.moment(schedule.start)
            given["catchup"] = schedule.catchup
        given.update(self._limits())
        if options.owner:
            given["default_args"] = {"owner": options.owner}
        if plan.given_params:
            given["params"] = params(plan.given_params, exact=self.manual)
        return pysource.arguments(given)

    def _tags(self, version: str) -> list[str]:
        tags = [_short(f"{key}:{value}", LONGEST_TAG) for key, value in self.plan.tags.items()]
        return pysource.arguments({"tags": list(dict.fromkeys([*tags, version]))})

    def _limits(self) -> dict[str, Any]:
        """What the stack's options say of the DAG's runs."""
        options = self.options
        given: dict[str, Any] = {
            "max_active_runs": options.max_active_runs,
            "max_active_tasks": options.max_active_tasks,
            "max_consecutive_failed_dag_runs": options.max_consecutive_failed_runs,
            "dagrun_timeout": None if options.run_timeout is None else pysource.span(options.run_timeout),
        }
        for name in callbacks.OF_RUNS:
            given[name] = callbacks.argument(getattr(options, name), self._callbacks)
        if options.deadline is not None and options.on_deadline_callback:
            given["deadline"] = pysource.call(
                "DeadlineAlert",
                reference=pysource.Code("DeadlineReference.DAGRUN_QUEUED_AT"),
                interval=pysource.span(options.deadline),
                callback=pysource.call("SyncCallback", options.on_deadline_callback.replace(":", ".")),
            )
        return {name: value for name, value in given.items() if value is not None}

    # its tasks

    def _tasks(self) -> list[str]:
        """The lines that make the tasks, and the groups they lie in."""
        lines: list[str] = []
        group: tuple[str, ...] = ()
        opened: set[tuple[str, ...]] = set()
        for step in self.plan.steps:
            if step.group != group and step.group:
                lines += self._open(step.group, opened)
            group = step.group
            lines += (f"{'    ' if group else ''}{line}" for line in self._task(step, 8 if group else 4))
        return lines

    def _finish(self) -> pysource.Code:
        """The task that marks the end of the run."""
        about = {"task_id": FINISH, "retries": 2, "retry_delay": pysource.span(FINISH_DELAY)}
        return pysource.Code(pysource.laid(*self._launcher.task("finish", None, about, {}), 4))

    def _edges(self) -> list[str]:
        """The lines that put the tasks in order."""
        ends = [self._variables[name] for name in self._graph.ends]
        lines = [edge for step in self.plan.steps for edge in self._before(step)]
        return [*lines, _edge(ends, "finish.as_teardown(on_failure_fail_dagrun=True)")]

    def _open(self, path: tuple[str, ...], opened: set[tuple[str, ...]]) -> list[str]:
        """The line that enters a group, after those that make the ones around it; *opened* are those that are made."""
        lines: list[str] = []
        parent: dict[str, pysource.Code] = {}
        for depth in range(1, len(path) + 1):
            one, inner = path[:depth], depth == len(path)
            variable = self._variables[".".join(one) + "."]
            if one not in opened:
                opened.add(one)
                made = pysource.call(f"{'with ' if inner else f'{variable} = '}TaskGroup", one[-1], **parent)
                lines.append(pysource.laid(made, f" as {variable}:" if inner else "", 4))
            elif inner:
                lines.append(f"with {variable}:")
            parent = {"parent_group": pysource.Code(variable)}
        return lines

    def _task(self, step: StepPlan, indent: int) -> Iterator[str]:
        """The lines that make a step's task, and those that give the lengths of its further lists."""
        first, *further = self._graph.lists.get(step.name, (None,))
        given = {"step": step.name} if first is None else {"step": step.name, "count": first}
        made = self._launcher.task(self._variables[step.name], step, self._about(step), given, self._elements(step))
        yield pysource.laid(*made, indent)
        for output in further:
            yield "# the length of another of its lists, by the record that stands"
            again = {"task_id": f"{step.name.rpartition('.')[2]}-{output}", **self._rule(step)}
            variable, given = self._variables[f"{step.name}:{output}"], {"step": step.name, "count": output}
            yield pysource.laid(*self._launcher.task(variable, step, again, given), indent)

    def _elements(self, step: StepPlan) -> str | None:
        """The variable of the task that says for which elements a mapped step runs."""
        if not step.mapped:
            return None
        root, output = self._graph.roots[step.name]
        return self._variables[root if self._graph.lists[root][0] == output else f"{root}:{output}"]

    def _about(self, step: StepPlan) -> dict[str, Any]:
        """Airflow's own arguments of a step's task."""
        given: dict[str, Any] = {"task_id": step.name.rpartition(".")[2]}
        if doc := _doc(step.doc) if step.doc else _decision(step):
            given["doc_md"] = pysource.text(doc)
        if step.mapped:
            given["map_index_template"] = ELEMENT
        given.update(self._rule(step))
        given.update(_retries(step.retry))
        if step.timeout is not None:
            given["execution_timeout"] = pysource.span(step.timeout)
        if step.options:
            given.update(self._own(options_of(step, TaskOptions)))
        return given

    def _own(self, options: TaskOptions) -> dict[str, Any]:
        """The options that are arguments of a task, where they are not what Airflow takes anyway."""
        given: dict[str, Any] = {}
        for name, default in _defaults().items():
            value = getattr(options, name)
            if value == default or (name == "outlets" and self.manual):  # a trial starts no consumer
                continue
            if name in callbacks.OF_TASKS:
                value = callbacks.argument(value, self._callbacks)
            given[name] = [*map(_asset, value)] if name == "outlets" else value
        return given

    def _rule(self, step: StepPlan) -> dict[str, str]:
        """When Airflow calls a step: unless something before it failed; the runtime decides on what was skipped.

        Said only where a skip can come that does not skip the step. A mapped step without elements is skipped to
        Airflow, and a list of none to the runtime. Where a mapped step is to be skipped with what comes before it,
        Airflow may do so at once.
        """
        if step.mapped:
            meets = any(
                isinstance(given.source, Collected)
                or (
                    isinstance(given.source, Output)
                    and given.source.step in self._graph.skippable
                    and given.type.optional
                )
                for given in step.inputs.values()
            )
        else:
            meets = any(name in self._graph.skippable or self.plan.by_name[name].mapped for name in step.upstream)
        return {"trigger_rule": "none_failed"} if meets else {}

    def _before(self, step: StepPlan) -> list[str]:
        """The lines that say which tasks come before a step's, and that its further lists come after it."""
        variables, own = self._variables, self._variables[step.name]
        before = [variables[name] for name in step.upstream if name not in step.guards]
        if (elements := self._elements(step)) in before:  # .expand has said so
            before.remove(elements)
        edges = [_edge(before, own)] if before else []
        guards = [_guarding(variables[gate], _condition(self.plan.by_name[gate]), own) for gate in step.guards]
        further = self._graph.lists.get(step.name, ())[1:]
        return [*edges, *guards, *(f"{own} >> {variables[f'{step.name}:{output}']}" for output in further)]


def dag_id(plan: Plan, *, manual: bool = False) -> str:
    """The id of a plan's DAG; of the one for runs submitted one by one, if *manual*."""
    instance = "" if plan.instance in {"default", AirflowSettings().instance} else f".{plan.instance}"
    own = options_of(plan, DagOptions).dag_id
    return (own or f"{plan.project}.{plan.name}{instance}") + (".run" if manual else "")


@cache
def _defaults() -> dict[str, Any]:
    """Airflow's own arguments that a step may be given, with what stands for not given."""
    fields = msgspec.structs.fields(TaskOptions)
    return {field.name: field.default for field in fields if field.name not in {"docker", "kubernetes"}}


def _lines(lines: list[str]) -> pysource.Code:
    """The lines of the DAG's body, of which the template indents the first."""
    return pysource.Code("\n    ".join(lines))


def _opening(arguments: list[str]) -> pysource.Code:
    """The line, or lines, that open the DAG."""
    return pysource.Code(pysource.laid(pysource.nested("with DAG(", arguments, ")"), ":"))


def _guarding(gate: str, condition: str, after: str) -> str:
    """That a task is guarded by a gate; what that goes by is shown on the way."""
    if not condition:
        return _edge([gate], after)
    parts = [gate, f">> Label({pysource.literal(condition)})", f">> {after}"]
    line = " ".join(parts)
    return line if len(line) + 4 <= pysource.WIDTH else "\n        ".join(["(", *parts]) + "\n    )"


def _edge(before: list[str], after: str) -> str:
    """That one task comes after others."""
    return pysource.laid(before[0] if len(before) == 1 else pysource.nested("[", before, "]"), f" >> {after}", 4)


def _retries(retry: Retry) -> dict[str, Any]:
    """How often a task is tried again; nothing where nobody asked, so that the site's own default stands."""
    if not retry.count:
        return {"retries": 0} if retry.never else {}
    given: dict[str, Any] = {"retries": retry.count, "retry_delay": pysource.span(retry.delay)}
    if retry.backoff != 1:
        given["retry_exponential_backoff"] = DOUBLING.get(retry.backoff, retry.backoff)
        if retry.max_delay is not None:
            given["max_retry_delay"] = pysource.span(retry.max_delay)
    return given


def _asset(name: str) -> pysource.Code:
    return pysource.call("Asset", name=name)


def _short(given: str, longest: int) -> str:
    """A text within a limit; the plan has the whole of it."""
    return given if len(given) <= longest else given[: longest - 1] + "…"


def _condition(gate: StepPlan) -> str:
    return "" if gate.expression is None else render_expression(gate.expression)


def _decision(step: StepPlan) -> str:
    """What a gate decides, as Markdown: the condition is code, in which nothing is markup."""
    return f"Runs what it guards where\n\n    {_condition(step)}\n" if step.expression is not None else ""


def _doc(given: str) -> str:
    """A docstring as Markdown; its line feed keeps Airflow from taking one that ends in ``.md`` for a file's name."""
    return given.strip() + "\n"
