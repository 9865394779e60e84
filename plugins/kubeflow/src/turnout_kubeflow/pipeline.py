"""A plan as a pipeline specification of Kubeflow (IR, schema 2.1.0): plain data, in time linear in the steps.

Each step is a component with an executor of its own. A guarded or mapped step lies in a pipeline of its own, because
nothing can come after a task inside of a condition or a loop, but anything can come after the pipeline that holds it.
Gates, and steps whose lists are mapped over, are always called: where a guard of theirs is false, the runtime says so,
and they tell ``false`` and no indices. All of it lies in one pipeline that the exit handler watches.
A task is shown by the name it has here: older back ends and their UI find tasks by what is shown of them.
"""

from __future__ import annotations

import math
import shlex
from typing import Any, NamedTuple

from turnout.plugin_api import (
    Element,
    KubernetesNames,
    Output,
    Param,
    Plan,
    StepPlan,
    UnsupportedError,
    memory_bytes,
    merged,
    options_of,
    plain_memory,
)
from turnout_kubeflow import artifacts, inputs
from turnout_kubeflow.options import TaskOptions
from turnout_kubeflow.platform import accelerator
from turnout_kubeflow.settings import CompileSettings, KubeflowSettings

SCHEMA = "2.1.0"
SDK = "kfp-2.17.0"
"""The SDK whose specifications these equal in form."""
STEPS = "steps"
FINISH = "finish"
VALUE = "value"
INDEX = "element-loop-item"
INDICES = "element-indices"
RUN = "engine-run"
TIME = "engine-time"
"""Inputs of our own have a hyphen, which no parameter's name has. Kubeflow tells the item of a loop by its name."""
PLACEHOLDERS = {RUN: "{{$.pipeline_job_uuid}}", TIME: "{{$.pipeline_job_schedule_time_utc}}"}
"""Kubeflow's id of the run, and the time for which it was scheduled, else when it was made. It replaces them where they
are all of a constant input of a task, not within the command of a container."""
YEAR = 365 * 86_400
_SCRIPT = """\
# Starts the step. kfp.local's SubprocessRunner takes a command for a Python component where it reads
# kfp.dsl.executor_main, and leaves the next word as it is after "$program_path/ephemeral_component.py" and "$@".
{install}exec python3 -m turnout_kubeflow.launch --executor-input "$0" "$@"
"""
OLDEST = {"2.4": "the run's id", "2.5": "retries", "2.17": "the time of the run"}
"""The back ends by which a file is read as it is meant, oldest first, and what each was the first to have."""
LONGEST = 56
"""Characters of a task's name: with ``comp-`` before it, it still fits a label of Kubernetes (63)."""
_MADE = ("-driver", "-iteration", "-each-iterator")
"""What Kubeflow's back end puts behind a name to make names of its own beside it."""
Document = dict[str, Any]


def names(*taken: str) -> KubernetesNames:
    """Names of tasks, none of which Kubeflow's back end would make of another, nor one of *taken*."""
    return KubernetesNames(taken, longest=LONGEST, suffixes=_MADE)


class Needs(NamedTuple):
    """What a component is given: parameters by their definitions, and outputs of others by the names of its inputs."""

    parameters: Document
    reads: dict[str, Output | Element]


class Builder:
    """Builds the document of one plan.

    Args:
        timed: whether steps are told the time of the run, should the plan ask for the logical time; kfp.local knows
            no such placeholder and stops.
    """

    def __init__(self, plan: Plan, settings: CompileSettings, *, timed: bool) -> None:
        self._plan = plan
        self._settings = settings
        self._names = names(STEPS, FINISH)
        self._inputs = inputs.definitions(plan)
        timed = timed and any(param.source == "logical_time" for param in plan.params)
        retries = any(step.retry.count for step in plan.steps)
        self.oldest = list(OLDEST)[2 if timed else 1 if retries else 0]
        """The oldest back end that reads the specification as it is meant."""
        told = {name: text for name, text in PLACEHOLDERS.items() if timed or name != TIME}
        self._outermost: Document = {name: {"componentInputParameter": name} for name in self._inputs}
        self._outermost.update({name: {"runtimeValue": {"constant": text}} for name, text in told.items()})
        self._plain = {name: _without_text(given) for name, given in self._inputs.items()}
        self._plain.update({name: {"parameterType": "STRING"} for name in told})
        self._json = [param.name for param in inputs.given(plan) if inputs.is_json(param.type)]
        self._sources = _sources(plan)
        self._counted = set(self._sources.values())
        self._types = {(one.name, output.name): output.type for one in plan.steps for output in one.outputs}
        self.tasks: dict[str, str] = {}
        """The task of each step by its name, once the document is made."""
        self.labels = {"": f"exec-{FINISH}"}
        """The executor of each step by its name, once the document is made; that of the run's end by no name."""
        self._components: Document = {}
        self._executors: Document = {}

    def document(self) -> Document:
        """The whole specification."""
        tasks = dict(self._task(step) for step in self._plan.steps)
        steps = {"dag": {"tasks": tasks}, "inputDefinitions": {"parameters": self._plain}}
        info = {"name": names().take(self._plan.name), "displayName": self._plan.name}
        if self._plan.doc:
            info["description"] = self._plan.doc
        return {
            "pipelineInfo": info,
            "schemaVersion": SCHEMA,
            "sdkVersion": SDK,
            "root": {
                "inputDefinitions": {"parameters": self._inputs},
                "dag": {"tasks": {STEPS: self._all_steps(), FINISH: self._finish()}},
            },
            "components": {f"comp-{STEPS}": steps, **self._components},
            "deploymentSpec": {"executors": self._executors},
        }

    def _all_steps(self) -> Document:
        return {
            "taskInfo": {"name": STEPS},
            "componentRef": {"name": f"comp-{STEPS}"},
            "inputs": {"parameters": self._outermost},
        }

    def _finish(self) -> Document:
        status = {"parameterType": "TASK_FINAL_STATUS", "isOptional": True}
        self._components[f"comp-{FINISH}"] = {
            "executorLabel": f"exec-{FINISH}",
            "inputDefinitions": {"parameters": {**self._plain, "task-status": status}},
        }
        self._executors[f"exec-{FINISH}"] = {"container": self._container(None)}
        final = {"task-status": {"taskFinalStatus": {"producerTask": STEPS}}}
        return {
            "taskInfo": {"name": FINISH},
            "componentRef": {"name": f"comp-{FINISH}"},
            "cachingOptions": {},
            "dependentTasks": [STEPS],
            "triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
            "inputs": {"parameters": {**self._outermost, **final}},
        }

    def _task(self, step: StepPlan) -> tuple[str, Document]:
        """A step's task, or that of the pipeline in which it is guarded or repeated."""
        name = self.tasks[step.name] = self._names.take(step.name)
        needs = Needs(self._parameters(step), self._reads(step))
        call = self._call(step, name, needs)
        guarded = () if self._told(step) else step.guards
        given: Document = {}
        if step.mapped:
            producer, output = self._sources[step.name]
            given[INDICES] = _from_task(self.tasks[producer], f"{output}-indices")
            call = self._loop(call, name, needs, self._options(step).parallelism)
        if guarded:
            given.update({_guard(n): _from_task(self.tasks[gate], VALUE) for n, gate in enumerate(guarded, 1)})
            call = self._condition(call, name, needs, len(guarded), mapped=step.mapped)
        elif step.mapped:
            call = self._nested(f"each-{name}", {"each": call}, needs, {INDICES: "LIST"})
        call["taskInfo"] = {"name": name}
        call["inputs"] = _given(needs, given)
        for key, source in needs.reads.items():
            call["inputs"]["artifacts"][key] = _artifact_from_task(self.tasks[source.step], source.output)
        if tasks := sorted({self.tasks[upstream] for upstream in step.upstream} | self._producers(given)):
            call["dependentTasks"] = tasks
        return name, call

    def _parameters(self, step: StepPlan | None) -> Document:
        """The parameters that a step's component is given: those that the step uses, and what the run is called.

        All of them where it may be the first that is called, which writes down what the run was given, and for the end
        of the run, before which none may have been.
        """
        if step is None or not step.upstream:
            return self._plain
        sources = [given.source for given in step.inputs.values()]
        used = {RUN, inputs.SUBMISSION} | {inputs.key(source.name) for source in sources if isinstance(source, Param)}
        return {name: given for name, given in self._plain.items() if name in used}

    def _reads(self, step: StepPlan) -> dict[str, Output | Element]:
        """The outputs that the step reads, by the names of its inputs: what Kubeflow draws lineage from.

        Not among them: outputs of steps that lie in a condition or a loop. Where nothing was made in there, Kubeflow
        would not begin who reads it.
        """
        found: dict[str, Output | Element] = {}
        for name, given in step.inputs.items():
            source = given.source
            if isinstance(source, (Output, Element)) and self._plain_task(self._plan.by_name[source.step]):
                found[f"{name}-artifact" if name in self._plain else name] = source
        return found

    def _plain_task(self, step: StepPlan) -> bool:
        """Whether the step's task is its own, in no pipeline of conditions and loops."""
        return not step.mapped and (not step.guards or self._told(step))

    def _defined(self, needs: Needs, more: dict[str, str]) -> Document:
        """The definitions of a component's inputs: what its step needs, and more parameters."""
        found: Document = {
            "parameters": {**needs.parameters, **{key: {"parameterType": kind} for key, kind in more.items()}}
        }
        if needs.reads:
            types = {name: self._types[source.step, source.output] for name, source in needs.reads.items()}
            found["artifacts"] = {name: artifacts.definition(artifacts.schema(kind)) for name, kind in types.items()}
        return found

    def _producers(self, given: Document) -> set[str]:
        return {one["taskOutputParameter"]["producerTask"] for one in given.values()}

    def _told(self, step: StepPlan) -> bool:
        """Whether Kubeflow is told something by the step: what a gate decided, or the indices of a list."""
        return step.kind == "gate" or any(producer == step.name for producer, _ in self._counted)

    def _call(self, step: StepPlan, name: str, needs: Needs) -> Document:
        """The component and the executor of a step, and a task that calls it."""
        given = self._defined(needs, {INDEX: "NUMBER_INTEGER"} if step.mapped else {})
        component: Document = {"executorLabel": f"exec-{name}", "inputDefinitions": given}
        parameters: Document = {
            f"{output}-indices": {"parameterType": "LIST"}
            for producer, output in self._counted
            if producer == step.name
        }
        if step.kind == "gate":
            parameters = {VALUE: {"parameterType": "BOOLEAN"}}
        found = {output.name: artifacts.definition(artifacts.schema(output.type)) for output in step.outputs}
        if step.kind != "gate":
            found[artifacts.LOGGED] = artifacts.definition("system.Metrics")
        outputs = {"parameters": dict(sorted(parameters.items())), "artifacts": found}
        component["outputDefinitions"] = {kind: one for kind, one in outputs.items() if one}
        self._components[f"comp-{name}"] = component
        self._executors[f"exec-{name}"] = {"container": self._container(step)}
        self.labels[step.name] = f"exec-{name}"
        task: Document = {"componentRef": {"name": f"comp-{name}"}, "cachingOptions": {}}
        if step.retry.count:
            task["retryPolicy"] = _retry_policy(step)
        return task

    def _loop(self, call: Document, name: str, needs: Needs, limit: int | None) -> Document:
        """A task that makes the call for each of the indices of the pipeline around it."""
        call["taskInfo"] = {"name": name}
        call["inputs"] = _given(needs, {INDEX: {"componentInputParameter": INDEX}})
        loop = self._nested(f"one-{name}", {name: call}, needs, {INDEX: "NUMBER_INTEGER", INDICES: "LIST"})
        loop["taskInfo"] = {"name": "each"}
        loop["inputs"] = _given(needs, {INDICES: {"componentInputParameter": INDICES}})
        loop["parameterIterator"] = {"itemInput": INDEX, "items": {"inputParameter": INDICES}}
        if limit is not None:
            loop["iteratorPolicy"] = {"parallelismLimit": limit}
        return loop

    def _condition(self, call: Document, name: str, needs: Needs, guards: int, *, mapped: bool) -> Document:
        """A task for a pipeline that makes the call if all guards are true."""
        given = {_guard(number): "BOOLEAN" for number in range(1, guards + 1)}
        more = {INDICES: "LIST"} if mapped else {}
        if not mapped:
            call["taskInfo"] = {"name": name}
            call["inputs"] = _given(needs, {})
        inner = self._nested(f"if-{name}", {"each" if mapped else name: call}, needs, {**given, **more})
        inner["taskInfo"] = {"name": "if"}
        inner["inputs"] = _given(needs, {key: {"componentInputParameter": key} for key in (*given, *more)})
        terms = [f"inputs.parameter_values['{key}'] == true" for key in given]
        inner["triggerPolicy"] = {"condition": " && ".join(terms)}
        return self._nested(f"when-{name}", {"if": inner}, needs, {**given, **more})

    def _nested(self, name: str, tasks: Document, needs: Needs, more: dict[str, str]) -> Document:
        """A task for a pipeline of these tasks, with inputs of its own beside what its step needs."""
        label = f"comp-{self._names.take(name)}"
        self._components[label] = {"dag": {"tasks": tasks}, "inputDefinitions": self._defined(needs, more)}
        return {"componentRef": {"name": label}}

    def _container(self, step: StepPlan | None) -> Document:
        settings = self._settings
        told = {"TURNOUT_PLAN": self._plan.digest, "TURNOUT_STEP": "" if step is None else step.name}
        parameters = self._parameters(step)
        told["TURNOUT_JSON_INPUTS"] = ",".join(name for name in self._json if inputs.key(name) in parameters)
        if step is not None and step.timeout:
            told["TURNOUT_TIMEOUT"] = _decimal(step.timeout)
        environment = {**settings.environment, **{name: value for name, value in told.items() if value}}
        if settings.launch == "image":
            command, args = ["python3", "-m", "turnout_kubeflow.launch"], ["--executor-input", "{{$}}"]
        else:
            wanted = " ".join(shlex.quote(requirement) for requirement in settings.install)
            install = f"python3 -m pip install --quiet {wanted}\n" if wanted else ""
            command, args = ["sh", "-ec", _SCRIPT.replace("{install}", install)], ["{{$}}"]
        found: Document = {
            "image": (step.image if step else None) or settings.image,
            "command": command,
            "args": args,
            "env": [{"name": name, "value": value} for name, value in sorted(environment.items())],
        }
        if step is not None and (resources := self._resources(step)):
            found["resources"] = resources
        return found

    def _resources(self, step: StepPlan) -> Document:
        """What a container needs, in the form that is meant and, for older back ends, in the one before it."""
        asked = step.resources
        found: Document = {}
        if asked.cpu is not None:
            found["resourceCpuRequest"] = found["resourceCpuLimit"] = _decimal(asked.cpu)
            found["cpuRequest"] = found["cpuLimit"] = float(asked.cpu)
        if asked.memory:
            found["resourceMemoryRequest"] = found["resourceMemoryLimit"] = str(plain_memory(asked.memory))
            found["memoryRequest"] = found["memoryLimit"] = memory_bytes(asked.memory) / 1e9
        if asked.gpu or asked.accelerator:
            kind, count = self._accelerator(step), str(asked.gpu or 1)
            found["accelerator"] = {"resourceType": kind, "resourceCount": count, "type": kind, "count": count}
        return found

    def _options(self, step: StepPlan) -> TaskOptions:
        settings = self._settings
        every = settings.every if isinstance(settings, KubeflowSettings) else TaskOptions()
        return merged(every, options_of(step, TaskOptions))

    def _accelerator(self, step: StepPlan) -> str:
        settings = self._settings
        return accelerator(step, settings).resource if isinstance(settings, KubeflowSettings) else settings.gpu_resource


def _given(needs: Needs, more: Document) -> Document:
    """The inputs of a task: those that the pipeline around it has, and more parameters."""
    parameters = {name: {"componentInputParameter": name} for name in needs.parameters}
    found: Document = {"parameters": {**parameters, **more}}
    if needs.reads:
        found["artifacts"] = {name: {"componentInputArtifact": name} for name in needs.reads}
    return found


def _retry_policy(step: StepPlan) -> Document:
    """How often a task is tried again.

    Kubeflow counts whole seconds, takes whole factors, and gives up at the end of a window that begins with the first
    attempt: it has room for all delays and a year of attempts.

    Raises:
        UnsupportedError: for another factor.
    """
    retry = step.retry
    if retry.backoff % 1:
        raise UnsupportedError(
            f"the step {step.name} asks for delays that grow by the factor {retry.backoff:g}",
            where=step.where,
            why="Kubeflow Pipelines takes whole factors only",
            fix=f"write retry_backoff={math.ceil(retry.backoff)}",
        )
    window = YEAR + sum(math.ceil(retry.wait(number)) for number in range(1, retry.count + 1))
    return {
        "maxRetryCount": retry.count,
        "backoffDuration": f"{math.ceil(retry.delay)}s",
        "backoffFactor": retry.backoff,
        "backoffMaxDuration": f"{min(window, 200 * YEAR)}s",
    }


def _sources(plan: Plan) -> dict[str, tuple[str, str]]:
    """For each mapped step, the step that is not and the output of it whose elements it runs for."""
    found: dict[str, tuple[str, str]] = {}
    for step in plan.steps:
        for given in step.inputs.values():
            if isinstance(source := given.source, Element):
                found[step.name] = found.get(source.step, (source.step, source.output))
                break
    return found


def _guard(number: int) -> str:
    """The input that holds what a guard decided. Not by the gate's name: kfp.local takes some for an output's."""
    return f"guard-{number}"


def _decimal(number: float) -> str:
    """A number in decimals, to a thousandth of a millionth: neither a duration nor Kubernetes takes an exponent."""
    return f"{number:.9f}".rstrip("0").rstrip(".")


def _from_task(task: str, output: str) -> Document:
    return {"taskOutputParameter": {"producerTask": task, "outputParameterKey": output}}


def _artifact_from_task(task: str, output: str) -> Document:
    return {"taskOutputArtifact": {"producerTask": task, "outputArtifactKey": output}}


def _without_text(definition: Document) -> Document:
    """What inner pipelines need of an input: no descriptions, no defaults, those of the outermost arrive."""
    return {key: value for key, value in definition.items() if key in {"parameterType", "isOptional"}}
