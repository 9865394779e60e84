"""The inputs of a Kubeflow pipeline: the parameters by Kubeflow's types, and what those cannot carry.

Kubeflow has one kind of number, a float, and reads ``{{$…}}`` in texts as its own, and Argo beneath it ``{{…}}``. What
would not arrive as it was sent travels in one more input, :data:`SUBMISSION`: JSON in a text, in which the values count
that are given there.
"""

from __future__ import annotations

import json
import math
from typing import Any

from turnout.plugin_api import ParamSpec, ParamType, Plan, plain

SUBMISSION = "turnout"
"""The input for what the submitter knows besides the parameters; no parameter's name clashes (see :func:`key`)."""
_TYPES = {"int": "NUMBER_INTEGER", "float": "NUMBER_DOUBLE", "timedelta": "NUMBER_DOUBLE", "bool": "BOOLEAN"}
_ZEROS: dict[str, Any] = {"NUMBER_INTEGER": 0, "NUMBER_DOUBLE": 0.0, "BOOLEAN": False, "LIST": [], "STRUCT": {}}
_EXACT = 2**53
KUBEFLOWS = "{{$"
"""What Kubeflow's own placeholders begin with: no default of the specification has one."""


def key(param: str) -> str:
    """The name of a parameter's input."""
    return f"{param}_" if param.rstrip("_") == SUBMISSION else param


def kubeflow_type(kind: ParamType) -> str:
    """Kubeflow's type for a parameter. A value of any JSON is a text: its whole numbers must stay whole."""
    if kind.kind in {"list", "dict"} and not kind.choices:
        return "STRING" if _open(kind) else "LIST" if kind.kind == "list" else "STRUCT"
    if kind.choices and all(isinstance(choice, str) for choice in kind.choices):
        return "STRING"
    return _TYPES.get(kind.kind, "STRING")


def is_json(kind: ParamType) -> bool:
    """Whether the input's text is JSON and is read as such by the worker."""
    return kind.kind == "json" and not kind.choices


def carried(value: Any, opening: str = "{{") -> bool:
    """Whether a value arrives through Kubeflow as it is: without *opening* in its texts, which begins a placeholder."""
    if isinstance(value, str):
        return opening not in value
    if isinstance(value, list):
        return all(carried(item, opening) for item in value)
    if isinstance(value, dict):
        return all(carried(name, opening) and carried(item, opening) for name, item in value.items())
    if isinstance(value, int):
        return abs(value) <= _EXACT
    if isinstance(value, float):
        return value != 0 or math.copysign(1, value) > 0
    return value is not None


def rendered(value: Any, kind: ParamType) -> Any:
    """A canonical value as its input takes it."""
    if is_json(kind) or (kubeflow_type(kind) == "STRING" and not isinstance(value, str)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return float(value) if kubeflow_type(kind) == "NUMBER_DOUBLE" and value is not None else value


def definitions(plan: Plan) -> dict[str, Any]:
    """The input definitions of the pipeline, with types, defaults and descriptions."""
    found = {key(param.name): _definition(param) for param in plan.given_params}
    found[SUBMISSION] = {
        "parameterType": "STRING",
        "defaultValue": "{}",
        "isOptional": True,
        "description": "What turnout knows of a run that it submits. Leave it as it is.",
    }
    return found


def arguments(plan: Plan, params: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """The inputs of a run: every one is given, those that Kubeflow cannot carry as a stand-in.

    Args:
        params: canonical values by the parameters' names.
        more: what else :data:`SUBMISSION` shall hold.
    """
    found: dict[str, Any] = {}
    exact: dict[str, Any] = {}
    for param in plan.given_params:
        if param.name not in params and param.required:
            continue
        value = params.get(param.name, param.default)
        sent = None if value is None else rendered(value, param.type)
        is_tuple = kubeflow_type(param.type) == "LIST" and not isinstance(sent, list)
        if sent is None or is_tuple or not carried(sent):
            exact[param.name] = value
            sent = _ZEROS.get(kubeflow_type(param.type), "")
        found[key(param.name)] = sent
    document = {**more, **({"params": exact} if exact else {})}
    found[SUBMISSION] = json.dumps(document, sort_keys=True).replace("{{", "{\\u007b")
    return found


def _definition(param: ParamSpec) -> dict[str, Any]:
    found: dict[str, Any] = {"parameterType": kubeflow_type(param.type)}
    if not param.required:
        found["isOptional"] = True
        default = param.default
        if "$dict" not in json.dumps(default):  # as a person reads it: it counts though Kubeflow sorts an object
            default = plain(default)
        default = None if default is None else rendered(default, param.type)
        if default is not None and carried(default, KUBEFLOWS):
            found["defaultValue"] = default
    text = " ".join(filter(None, [param.doc, _hint(param.type)]))
    return {**found, "description": text} if text else found


def _hint(kind: ParamType) -> str:
    """What Kubeflow's own type does not say."""
    if kind.choices or kind.kind in {"datetime", "date"}:
        return f"({kind})"
    if kind.kind in {"file", "folder"}:
        return f"(a {kind.kind}: its URL)"
    if kind.kind == "timedelta":
        return "(seconds)"
    return "(JSON)" if kubeflow_type(kind) == "STRING" and kind.kind in {"json", "list", "dict"} else ""


def _open(kind: ParamType) -> bool:
    """Whether some value inside is of any JSON type."""
    return not kind.items or any(
        item.kind == "json" or (item.kind in {"list", "dict"} and _open(item)) for item in kind.items
    )
