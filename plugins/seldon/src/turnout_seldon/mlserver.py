"""The files of a model in MLServer, which Seldon Core v2 runs: it answers by ``turnout.serving`` beside it.

The runtime is one file beside ``model-settings.json``, imported by MLServer; it takes nothing that MLServer does not
bring. ``python -m turnout.serving container`` runs in another container of the server's pod, in the model's
environment.
"""

from __future__ import annotations

import json
from typing import Any

from turnout.plugin_api import EndpointPlan, digest, endpoint_metadata, pysource

SERVING = "TURNOUT_SERVING"
"""The variable with the address of ``turnout.serving``; ``127.0.0.1:8080`` where there is none.

A model of its own address has it in its settings: ``parameters.extra.serving``."""
FOLDER = "mlserver"
"""The folder of the files in an export: what a model's storage URI leads to."""

_RUNTIME = '''\
"""Endpoints of turnout in MLServer: requests are passed on to turnout.serving, which runs beside it."""

import asyncio
import os
import time

import aiohttp
from mlserver import MLModel, types
from mlserver.errors import MLServerError

ENDPOINT = @ENDPOINT@  # Seldon calls its models otherwise: by their versions, as canaries
SERVING = os.environ.get("TURNOUT_SERVING", "127.0.0.1:8080")
TIMEOUT = float(os.environ.get("TURNOUT_SERVING_TIMEOUT", "60"))  # seconds
STARTING = 300  # seconds that turnout.serving has to load its endpoint


class Endpoint(MLModel):
    async def load(self) -> bool:
        parameters = self.settings.parameters
        self.serving = ((parameters and parameters.extra) or {}).get("serving", SERVING)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        self.session = aiohttp.ClientSession(f"http://{self.serving}", timeout=timeout)
        until = time.monotonic() + STARTING
        while not await self.answers():
            if time.monotonic() > until:
                raise MLServerError(f"turnout.serving at {self.serving} is not ready after {STARTING} s", 503)
            await asyncio.sleep(0.2)
        return True

    async def unload(self) -> bool:
        if hasattr(self, "session"):  # MLServer's first process loads nothing where its workers answer
            await self.session.close()
        return True

    async def answers(self) -> bool:
        try:
            async with self.session.get(f"/v2/models/{ENDPOINT}/ready") as response:
                return response.status == 200
        except aiohttp.ClientConnectionError:
            return False

    async def predict(self, payload: types.InferenceRequest) -> types.InferenceResponse:
        body = {"inputs": [tensor(one) for one in payload.inputs]}
        if payload.id is not None:
            body["id"] = payload.id
        try:
            async with self.session.post(f"/v2/models/{ENDPOINT}/infer", json=body) as response:
                status, answer = response.status, await response.json()
        except asyncio.TimeoutError:
            raise MLServerError(f"turnout.serving at {self.serving} took more than {TIMEOUT:g} s", 504) from None
        except aiohttp.ClientError as error:
            raise MLServerError(f"turnout.serving at {self.serving} does not answer: {error}", 503) from None
        if status != 200:
            raise MLServerError(said(answer), status)
        for output in answer["outputs"]:
            if output["datatype"] == "FP64":  # null is NaN: gRPC's numbers have no null
                output["data"] = [float("nan") if value is None else value for value in output["data"]]
        return types.InferenceResponse.model_validate({**answer, "model_name": self.name})


def tensor(given):
    values = [plain(value) for value in getattr(given.data, "root", given.data)]
    return {"name": given.name, "shape": list(given.shape), "datatype": given.datatype, "data": values}


def plain(value):
    """A value of a tensor as JSON has it: gRPC's texts are bytes, and its missing numbers NaN."""
    if isinstance(value, bytes):
        return value.decode()
    return None if value != value else value


def said(answer):
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return str(answer)
    where = f"{error['where']}: " if error.get("where") else ""
    return f"{where}{error.get('what', 'the request is refused')}"
'''


def files(endpoint: EndpointPlan) -> dict[str, bytes]:
    """The files of an endpoint's model, by their paths in an export."""
    settings = json.dumps(settings_of(endpoint), indent=2) + "\n"
    return {
        f"{FOLDER}/model-settings.json": settings.encode(),
        f"{FOLDER}/{_module(endpoint)}.py": _runtime(endpoint).encode(),
    }


def settings_of(endpoint: EndpointPlan) -> dict[str, Any]:
    """The model's settings as MLServer reads them."""
    described = endpoint_metadata([endpoint])
    return {
        "name": endpoint.name,
        "implementation": f"{_module(endpoint)}.Endpoint",
        "platform": described["platform"],
        "inputs": described["inputs"],
        "outputs": described["outputs"],
        "parameters": {"version": endpoint.digest[:12]},
    }


def _runtime(endpoint: EndpointPlan) -> str:
    return _RUNTIME.replace("@ENDPOINT@", pysource.literal(endpoint.name))


def _module(endpoint: EndpointPlan) -> str:
    """The name of the runtime's module: of each text another, for all models of a server share one process."""
    return f"turnout_{digest(_runtime(endpoint).encode())[:12]}"
