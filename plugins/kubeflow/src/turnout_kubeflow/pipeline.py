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
from collections.abc import Iterable
from typing import NamedTuple

from turnout.plugin_api import (
    Element,
    Graph,
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
    plain_number,
)
from turnout_kubeflow import artifacts, inputs
from turnout_kubeflow.options import TaskOptions
from turnout_kubeflow.platform import accelerator
from turnout_kubeflow.settings import CompileSettings, Document, KubeflowSettings

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


def names(*taken: str) -> KubernetesNames:
    """Names of tasks, none of which Kubeflow's back end would make of another, nor one of *taken*."""
    return KubernetesNames(taken, longest=LONGEST, suffixes=_MADE)


class Needs(NamedTuple):
    """What a step's component is given: definitions of parameters and of artifacts, by the names of its inputs."""

    parameters: Document
    artifacts: Document

    def defined(self, more: dict[str, str]) -> Document:
        """The inputs of a component that has these, and more parameters of some types."""
        parameters = {**self.parameters, **{name: {"parameterType": kind} for name, kind in more.items()}}
        return {"parameters": parameters, **({"artifacts": self.artifacts} if self.artifacts else {})}

    def passed(self, more: Iterable[str]) -> Document:
        """The inputs of a task: what the pipeline around it has of these, and of more parameters."""
        parameters = {name: {"componentInputParameter": name} for name in (*self.parameters, *more)}
        artifacts = {name: {"componentInputArtifact": name} for name in self.artifacts}
        return {"parameters": parameters, **({"artifacts": artifacts} if artifacts else {})}


class Builder:
    """Builds the document of one plan.

    Args:
        timed: whether steps are told the time of the run, should the plan ask for the logical time; kfp.local knows
            no such placeholder and stops.
    """

    def __init__(self, plan: Plan, settings: CompileSettings, *, timed: bool) -> None:
        self._plan = plan
        self._settings = settings
        self._cluster = settings if isinstance(settings, KubeflowSettings) else None
        self._names = names(STEPS, FINISH)
        self._inputs = inputs.definitions(plan)
        timed = timed and any(param.source == "logical_time" for param in plan.params)
        retries = any(step.retry.count for step in plan.steps)
        self.oldest = list(OLDEST)[2 if timed else 1 if retries else 0]
        """The oldest back end that reads the specification as it is meant."""
        self._told = {name: text for name, text in PLACEHOLDERS.items() if timed or name != TIME}
        self._all = Needs({}, {})
        for name, outermost in self._inputs.items():  # whose descriptions and defaults count
            kept = {key: outermost[key] for key in ("parameterType", "isOptional") if key in outermost}
            self._all.parameters[name] = kept
        self._json = [param.name for param in plan.given_params if inputs.is_json(param.type)]
        self._graph = Graph(plan)
        self._made = {
            (step.name, output.name): artifacts.definition(artifacts.schema(output.type))
            for step in plan.steps
            for output in step.outputs
        }
        self.tasks: dict[str, str] = {}
        """The task of each step by its name, once the document is made."""
        self.labels = {"": f"exec-{FINISH}"}
        """The executor of each step by its name, once the document is made; that of the run's end by no name."""
        self._components: Document = {}
        self._executors: Document = {}

    def document(self) -> Document:
        """The whole specification."""
        tasks = dict(self._task(step) for step in self._plan.steps)
        info = {"name": names().take(self._plan.name), "displayName": self._plan.name}
        if self._plan.doc:
            info["description"] = self._plan.doc
        steps = {"dag": {"tasks": tasks}, "inputDefinitions": self._all.defined({})}
        all_steps = {
            "taskInfo": {"name": STEPS},
            "componentRef": {"name": f"comp-{STEPS}"},
            "inputs": self._all.passed(()),
        }
        finish = self._finish()
        return {
            "pipelineInfo": info,
            "schemaVersion": SCHEMA,
            "sdkVersion": SDK,
            "root": {
                "inputDefinitions": {"parameters": self._inputs},
                "dag": {"tasks": {STEPS: all_steps, FINISH: finish}},
            },
            "components": {f"comp-{STEPS}": steps, **self._components},
            "deploymentSpec": {"executors": self._executors},
        }

    def _finish(self) -> Document:
        task = self._called(FINISH, None, self._all, {"task-status": "TASK_FINAL_STATUS"})
        self._components[f"comp-{FINISH}"]["inputDefinitions"]["parameters"]["task-status"]["isOptional"] = True
        task["dependentTasks"] = [STEPS]
        task["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
        _place(task, FINISH, self._all.passed(()))
        task["inputs"]["parameters"]["task-status"] = {"taskFinalStatus": {"producerTask": STEPS}}
        return task

    def _task(self, step: StepPlan) -> tuple[str, Document]:
        """A step's task, or that of the pipeline in which it is guarded or repeated."""
        name = self.tasks[step.name] = self._names.take(step.name)
        reads = self._reads(step)
        made = {key: self._made[source.step, source.output] for key, source in reads.items()}
        needs = Needs(self._parameters(step), made)
        task, inner = self._call(step, name, needs), name
        sources: Document = {}
        carried: dict[str, str] = {}
        if step.mapped:
            producer, output = self._graph.roots[step.name]
            sources[INDICES] = _from_task(self.tasks[producer], f"{output}-indices")
            carried = {INDICES: "LIST"}
            task = self._nested(f"one-{name}", inner, task, needs, {INDEX: "NUMBER_INTEGER", **carried}, [INDEX])
            task["parameterIterator"] = {"itemInput": INDEX, "items": {"inputParameter": INDICES}}
            every = self._cluster.every if self._cluster is not None else TaskOptions()
            if limit := merged(every, options_of(step, TaskOptions)).parallelism:
                task["iteratorPolicy"] = {"parallelismLimit": limit}
            inner = "each"
        if step.guards and not self._graph.tells(step):
            gates = {f"guard-{number}": self.tasks[gate] for number, gate in enumerate(step.guards, 1)}
            sources.update({guard: _from_task(gate, VALUE) for guard, gate in gates.items()})
            passed, carried = list(carried), {**dict.fromkeys(gates, "BOOLEAN"), **carried}
            task = self._nested(f"if-{name}", inner, task, needs, carried, passed)
            terms = [f"inputs.parameter_values['{guard}'] == true" for guard in gates]
            task["triggerPolicy"] = {"condition": " && ".join(terms)}
            task = self._nested(f"when-{name}", "if", task, needs, carried, carried)
        elif step.mapped:
            task = self._nested(f"each-{name}", inner, task, needs, carried, carried)
        _place(task, name, needs.passed(()))
        task["inputs"]["parameters"].update(sources)
        for key, source in reads.items():
            reference = {"producerTask": self.tasks[source.step], "outputArtifactKey": source.output}
            task["inputs"]["artifacts"][key] = {"taskOutputArtifact": reference}
        producers = {source["taskOutputParameter"]["producerTask"] for source in sources.values()}
        if after := sorted({self.tasks[upstream] for upstream in step.upstream} | producers):
            task["dependentTasks"] = after
        return name, task

    def _parameters(self, step: StepPlan) -> Document:
        """The parameters that a step's component is given: those that the step uses.

        All of them where it may be the first that is called, which writes down what the run was given.
        """
        if not step.upstream:
            return self._all.parameters
        sources = [given.source for given in step.inputs.values()]
        used = {inputs.key(source.name) for source in sources if isinstance(source, Param)}
        return {name: given for name, given in self._all.parameters.items() if name in used}

    def _reads(self, step: StepPlan) -> dict[str, Output | Element]:
        """The outputs that the step reads, by the names of its inputs: what Kubeflow draws lineage from.

        Not among them: outputs of steps that lie in a condition or a loop. Where nothing was made in there, Kubeflow
        would not begin who reads it.
        """
        reads: dict[str, Output | Element] = {}
        for name, given in step.inputs.items():
            if isinstance(source := given.source, (Output, Element)):
                producer = self._plan.by_name[source.step]
                if not producer.mapped and (not producer.guards or self._graph.tells(producer)):
                    reads[f"{name}-artifact" if name in self._all.parameters else name] = source
        return reads

    def _call(self, step: StepPlan, name: str, needs: Needs) -> Document:
        """The component and the executor of a step, and a task that calls it."""
        if step.kind == "gate":
            parameters = {VALUE: {"parameterType": "BOOLEAN"}}
        else:
            lists = sorted(self._graph.lists.get(step.name, ()))
            parameters = {f"{output}-indices": {"parameterType": "LIST"} for output in lists}
        made = {output.name: self._made[step.name, output.name] for output in step.outputs}
        if step.kind != "gate":
            made[artifacts.LOGGED] = artifacts.definition("system.Metrics")
        outputs = {"parameters": parameters, "artifacts": made}
        task = self._called(name, step, needs, {INDEX: "NUMBER_INTEGER"} if step.mapped else {})
        outputs = {kind: definitions for kind, definitions in outputs.items() if definitions}
        self._components[f"comp-{name}"]["outputDefinitions"] = outputs
        return task

    def _called(self, name: str, step: StepPlan | None, needs: Needs, more: dict[str, str]) -> Document:
        """The component and the executor of a step, or of the run's end, and a task that is told which run it is of.

        Args:
            more: parameters that it gets beside what it needs, by their types.
        """
        told = {
            name: text for name, text in self._told.items() if name == RUN or needs.parameters == self._all.parameters
        }
        definitions = needs.defined({**dict.fromkeys(told, "STRING"), **more})
        self._components[f"comp-{name}"] = {"executorLabel": f"exec-{name}", "inputDefinitions": definitions}
        self._executors[f"exec-{name}"] = {"container": self._container(step, needs)}
        self.labels["" if step is None else step.name] = f"exec-{name}"
        task: Document = {"componentRef": {"name": f"comp-{name}"}, "cachingOptions": {}}
        if step is not None and step.retry.count:
            task["retryPolicy"] = _retry_policy(step)
        constants = {name: {"runtimeValue": {"constant": text}} for name, text in told.items()}
        return {**task, "taskInfo": {}, "inputs": {"parameters": constants}}

    def _nested(
        self, name: str, inner: str, task: Document, needs: Needs, defined: dict[str, str], passed: Iterable[str]
    ) -> Document:
        """A task for a pipeline of one task, which gets what its step needs.

        Args:
            name: what the pipeline is called.
            inner: what the task in it is called there.
            defined: the parameters that the pipeline gets beside these, by their types.
            passed: those of them that it hands on to the task.
        """
        _place(task, inner, needs.passed(passed))
        label = f"comp-{self._names.take(name)}"
        self._components[label] = {"dag": {"tasks": {inner: task}}, "inputDefinitions": needs.defined(defined)}
        return {"componentRef": {"name": label}, "taskInfo": {}, "inputs": {}}

    def _container(self, step: StepPlan | None, needs: Needs) -> Document:
        settings = self._settings
        told = {"TURNOUT_PLAN": self._plan.digest, "TURNOUT_STEP": "" if step is None else step.name}
        told["TURNOUT_JSON_INPUTS"] = ",".join(name for name in self._json if inputs.key(name) in needs.parameters)
        if step is not None and step.timeout:
            told["TURNOUT_TIMEOUT"] = plain_number(step.timeout)
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
            found["resourceCpuRequest"] = found["resourceCpuLimit"] = plain_number(asked.cpu)
            found["cpuRequest"] = found["cpuLimit"] = float(asked.cpu)
        if asked.memory:
            found["resourceMemoryRequest"] = found["resourceMemoryLimit"] = str(plain_memory(asked.memory))
            found["memoryRequest"] = found["memoryLimit"] = memory_bytes(asked.memory) / 1e9
        if asked.gpu or asked.accelerator:
            cluster = self._cluster
            kind = accelerator(step, cluster).resource if cluster is not None else self._settings.gpu_resource
            count = str(asked.gpu or 1)
            found["accelerator"] = {"resourceType": kind, "resourceCount": count, "type": kind, "count": count}
        return found


def _place(task: Document, name: str, given: Document) -> None:
    """Give a task its name and its inputs, beside what it is told already."""
    given["parameters"].update(task["inputs"].get("parameters", {}))
    task["taskInfo"], task["inputs"] = {"name": name}, given


def tasks_of(plan: Plan, settings: CompileSettings) -> dict[str, str]:
    """The task of each step by its name, as the specification has them."""
    builder = Builder(plan, settings, timed=True)
    builder.document()
    return builder.tasks


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


def _from_task(task: str, output: str) -> Document:
    return {"taskOutputParameter": {"producerTask": task, "outputParameterKey": output}}
