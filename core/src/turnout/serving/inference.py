"""The Open Inference Protocol, version 2: a tensor a column (https://github.com/kserve/open-inference-protocol)."""

from __future__ import annotations

from typing import Any

from turnout.model.endpoint_plan import EndpointPlan
from turnout.serving.answers import Answer
from turnout.serving.service import Service
from turnout.serving.tables import BadRequest

_TYPES = {
    "bool": "BOOL", "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64", "uint8": "UINT8",
    "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "halffloat": "FP16", "float": "FP32", "double": "FP64",
}  # fmt: skip
_PARAMS = {"int": "INT64", "float": "FP64", "bool": "BOOL"}


def given(document: Any, service: Service, most: int) -> tuple[dict[str, Any], Any]:
    """What an inference request gives, by the endpoint's parameters; and what its answer repeats.

    Args:
        most: how many rows are taken.

    Raises:
        BadRequest: for what is no inference request.
    """
    if not isinstance(document, dict) or not isinstance(document.get("inputs"), list):
        raise BadRequest("takes an object with inputs, a tensor each", "body", status=400)
    table = service.plan.table
    own = {request.name for request in service.plan.requests if request is not table}
    columns: dict[str, list[Any]] = {}
    values: dict[str, Any] = {}
    for n, tensor in enumerate(document["inputs"]):
        where = f"inputs[{n}]"
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
            raise BadRequest("takes an object with name, shape, datatype and data", where, status=400)
        if tensor["name"] in columns or tensor["name"] in values:
            raise BadRequest("has a name that one before it has", where)
        data, shape = tensor.get("data"), tensor.get("shape")
        flat = isinstance(shape, list) and shape in ([len(data)], [len(data), 1]) if isinstance(data, list) else False
        if not flat:
            raise BadRequest("takes data of the shape [rows], as many values", where)
        assert isinstance(data, list)
        data = [item[0] if isinstance(item, list) and len(item) == 1 else item for item in data]
        if tensor["name"] in own:
            if len(data) != 1:
                raise BadRequest("takes one value", where)
            values[tensor["name"]] = data[0]
        else:
            columns[tensor["name"]] = data
    if table is None:
        if columns:
            raise BadRequest(f"has no input {next(iter(columns))[:40]!r}", "inputs")
    else:
        lengths = {len(data) for data in columns.values()}
        if len(lengths) > 1:
            raise BadRequest(f"takes columns of one length, not of {min(lengths)} and of {max(lengths)}", "inputs")
        count = lengths.pop() if lengths else 0
        if count > most:
            raise BadRequest(f"has {count} rows, {most} are taken", "inputs", status=413)
        values[table.name] = [{name: data[n] for name, data in columns.items()} for n in range(count)]
    return values, (service.plan, document.get("id"))


def document(answer: Answer, context: Any) -> dict[str, Any]:
    """The answer as an inference response."""
    plan, identifier = context
    values = answer.values if answer.by_row else [answer.values]
    if values and all(isinstance(value, dict) for value in values):
        outputs = [_tensor(name, [value.get(name) for value in values]) for name in values[0]]
    else:
        outputs = [_tensor(plan.answer.output, values)]
    response = {"model_name": plan.name, "model_version": plan.digest[:12], "outputs": outputs}
    return {**response, "id": identifier} if isinstance(identifier, str) else response


def metadata(plans: list[EndpointPlan]) -> dict[str, Any]:
    """What the protocol tells of a model."""
    plan = plans[0]
    inputs = []
    for request in plan.requests:
        if request.value is not None:
            inputs.append({"name": request.name, "datatype": _PARAMS.get(request.value.kind, "BYTES"), "shape": [1]})
            continue
        inputs += [
            {"name": column.name, "datatype": _TYPES.get(column.type, "BYTES"), "shape": [-1]}
            for column in request.columns or ()
        ]
    return {
        "name": plan.name,
        "versions": [one.digest[:12] for one in plans],
        "platform": "turnout",
        "inputs": inputs,
        "outputs": [{"name": plan.answer.output, "datatype": "FP64", "shape": [-1]}],
    }


def _tensor(name: str, values: list[Any]) -> dict[str, Any]:
    kinds = {type(value) for value in values if value is not None}
    datatype = "BYTES"
    if kinds <= {bool} and kinds:
        datatype = "BOOL"
    elif kinds <= {int} and kinds:
        datatype = "INT64"
    elif kinds <= {int, float}:
        datatype = "FP64"
    return {"name": name, "datatype": datatype, "shape": [len(values)], "data": values}
