"""The files of a node of Seldon Core v1: Seldon's own microservice, which answers by ``turnout.serving`` beside it.

A node is two containers of a pod. One is Seldon's microservice with the class below, in an environment of its own: what
it is pinned to could not stand beside a model's packages. The other is ``python -m turnout.serving container``, in the
model's environment; they share the pod's loopback, and nothing else. The class is the same for every endpoint, version
and step, so that one image of it serves all of them.
"""

from __future__ import annotations

from typing import Any

from turnout.plugin_api import EndpointPlan, endpoint_metadata

INTERFACE = "Endpoint"
"""What ``seldon-core-microservice`` is called with: the module, and the class in it."""
SERVING = "TURNOUT_SERVING"
"""The variable with the address of ``turnout.serving``; ``127.0.0.1:8080`` where there is none."""
METADATA = "MODEL_METADATA"
"""The variable that Seldon's microservice takes its metadata from."""
FOLDER = "microservice"
"""The folder of the files in an export."""

_REQUIREMENTS = """\
# Up to 1.17.1 Seldon Core is under the Apache License 2.0; later releases are under the Business Source License 1.1,
# which asks for a licence where it is used in production.
seldon-core>=1.17.1,<1.18
setuptools<81  # it imports pkg_resources and distutils
"""
_DOCKERFILE = """\
# Seldon's microservice for endpoints of turnout: one image for all of them. The endpoint runs in a container beside it.
# Python 3.11 is the newest that Seldon Core 1.17.1 runs on.
FROM docker.io/library/python:3.11-slim
WORKDIR /microservice
COPY requirements.txt ./
RUN python -m pip install --no-cache-dir --requirement requirements.txt
COPY Endpoint.py ./
ENV HOME=/tmp
USER 1000:1000
# Seldon gives SERVICE_TYPE to each node: MODEL, TRANSFORMER.
CMD exec seldon-core-microservice Endpoint --service-type "${SERVICE_TYPE:-MODEL}"
"""
_CLASS = '''\
"""Endpoints of turnout in Seldon's microservice: it passes requests on to turnout.serving, which runs beside it.

A message holds rows in any of Seldon's forms: jsonData, strData and binData are the body of turnout's POST /predict,
data is rows with the names of their columns. The answer has the form that was asked in. A node of a graph that is not
the last hands on a body for the next one.
"""

import base64
import http.client
import json
import os
import threading
import time

from google.protobuf import json_format
from seldon_core.flask_utils import SeldonMicroserviceException
from seldon_core.proto import prediction_pb2

SERVING = os.environ.get("TURNOUT_SERVING", "127.0.0.1:8080")
TIMEOUT = float(os.environ.get("TURNOUT_SERVING_TIMEOUT", "60"))  # seconds
HEADERS = {"Content-Type": "application/json"}
NEXT = "turnout:next"  # no parameter of an endpoint has such a name
GONE = (http.client.BadStatusLine, http.client.CannotSendRequest, ConnectionError)


class Refused(SeldonMicroserviceException):
    """What the endpoint says of a request, with its status."""

    def __init__(self, text, status):
        super().__init__(text, status_code=status)
        self.args = (text,)  # gRPC says the arguments of an exception


class Endpoint:
    def __init__(self):
        self.local = threading.local()

    def predict_raw(self, message):
        if isinstance(message, prediction_pb2.SeldonMessage):
            answer = self.answer(json_format.MessageToDict(message), exact="strData")
            return json_format.ParseDict(answer, prediction_pb2.SeldonMessage())
        return self.answer(message, exact="jsonData")

    transform_input_raw = predict_raw

    def health_status_raw(self):
        status, _, _ = self.ask("GET", "/health/ready")
        if status != 200:
            raise Refused(f"turnout.serving is not ready: {status}", 503)
        return {"jsonData": {"ready": True}}

    def answer(self, message, exact):
        """The answer to a message; nodes hand on in the form *exact*, in which integers stay integers."""
        started = time.perf_counter()
        form, body = read(message)
        status, version, answer = self.ask("POST", "/predict", json.dumps(body).encode())
        if status != 200:
            raise Refused(said(answer), status)
        if "next" in answer:
            made = {NEXT: {"form": form, "body": answer["next"]}}
            made = {exact: made if exact == "jsonData" else json.dumps(made)}
        else:
            made = written(answer, form)
        seconds = time.perf_counter() - started
        meta = dict(message.get("meta") or {})
        meta["tags"] = {**(meta.get("tags") or {}), "turnout_version": version}
        meta["metrics"] = [{"type": "TIMER", "key": "turnout_node_seconds", "value": seconds * 1000}]
        return {**made, "meta": meta}

    def ask(self, method, path, body=None):
        """The status, the endpoint's version and the document that turnout.serving answers."""
        for again in (True, False):
            connection = getattr(self.local, "connection", None)
            kept = connection is not None
            if not kept:
                connection = self.local.connection = http.client.HTTPConnection(SERVING, timeout=TIMEOUT)
            try:
                connection.request(method, path, body, HEADERS)
                response = connection.getresponse()
                data = response.read()
                return response.status, response.getheader("X-Turnout-Version", ""), json.loads(data)
            except (OSError, ValueError, http.client.HTTPException) as error:
                connection.close()
                self.local.connection = None
                if again and kept and isinstance(error, GONE):
                    continue  # it had ended while nobody asked
                text = f"turnout.serving at {SERVING} does not answer: {type(error).__name__}: {error}"
                raise Refused(text, 504 if isinstance(error, TimeoutError) else 503) from None


def read(message):
    """The form of a message, and the body that it is for turnout.serving."""
    if not isinstance(message, dict):
        raise Refused("takes a message: jsonData, strData, binData, or data with names", 400)
    try:
        if "jsonData" in message:
            form, body = "jsonData", message["jsonData"]
        elif "strData" in message:
            form, body = "strData", json.loads(message["strData"])
        elif "binData" in message:
            form, body = "binData", json.loads(base64.b64decode(message["binData"]))
        elif isinstance(message.get("data"), dict):
            form, body = "data", rows(message["data"])
        else:
            raise Refused("takes jsonData, strData, binData, or data with names", 422)
    except (TypeError, ValueError) as error:
        raise Refused(f"the message holds no JSON: {error}", 400) from None
    if isinstance(body, dict) and NEXT in body:
        return body[NEXT]["form"], body[NEXT]["body"]
    return form, body


def rows(data):
    """The rows of a message's data, by the names of their columns."""
    names = data.get("names")
    values = data.get("ndarray")
    if isinstance(data.get("tensor"), dict):
        shape, flat = data["tensor"].get("shape"), data["tensor"].get("values")
        if not (isinstance(shape, list) and isinstance(flat, list) and len(shape) == 2):
            raise Refused("data.tensor takes a shape of two dimensions, and values", 422)
        flat = [None if value == "NaN" else value for value in flat]  # as it comes by gRPC
        count, width = (int(length) for length in shape)
        if count * width != len(flat):
            raise Refused(f"data.tensor has {len(flat)} values, its shape {count} x {width}", 422)
        values = [flat[n * width : (n + 1) * width] for n in range(count)]
    if not isinstance(values, list) or not all(isinstance(row, list) for row in values):
        raise Refused("data takes ndarray, a list of rows, or tensor", 422)
    if not isinstance(names, list) or not names:
        raise Refused("data takes names: those of the columns, in the order of the values", 422)
    for n, row in enumerate(values):
        if len(row) != len(names):
            raise Refused(f"data.ndarray[{n}] has {len(row)} values for {len(names)} names", 422)
    return [{name: None if value != value else value for name, value in zip(names, row)} for row in values]


def written(answer, form):
    """A message of an answer, in the form that was asked in."""
    if form == "jsonData":
        return {"jsonData": answer}
    if form == "strData":
        return {"strData": json.dumps(answer)}
    if form == "binData":
        return {"binData": base64.b64encode(json.dumps(answer).encode()).decode()}
    values = answer["predictions"] if "predictions" in answer else [answer["prediction"]]
    if values and all(isinstance(value, dict) for value in values):
        names = list(values[0])
        return {"data": {"names": names, "ndarray": [[value.get(name) for name in names] for value in values]}}
    listed = [value if isinstance(value, list) else [value] for value in values]
    names = ["prediction"] if all(len(value) == 1 for value in listed) else []
    return {"data": {"names": names, "ndarray": listed}}


def said(answer):
    """The text of an error of turnout.serving."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return str(answer)
    where = f"{error['where']}: " if error.get("where") else ""
    return f"{where}{error.get('what', 'the request is refused')}"
'''


def files() -> dict[str, bytes]:
    """The files of the microservice's image, by their paths in an export; the same for every endpoint."""
    texts = {"Dockerfile": _DOCKERFILE, "requirements.txt": _REQUIREMENTS, f"{INTERFACE}.py": _CLASS}
    return {f"{FOLDER}/{name}": text.encode() for name, text in texts.items()}


def metadata(endpoint: EndpointPlan) -> dict[str, Any]:
    """What the microservice tells of an endpoint; it goes into the variable :data:`METADATA`, as JSON."""
    described = endpoint_metadata([endpoint])
    return {**described, "custom": {"run": endpoint.run, "pipeline": endpoint.pipeline}}
