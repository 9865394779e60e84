"""Asks servers in a pod, from an environment that has their messages: a request a line, as JSON, and so the answers.

``{"port": 9000, "path": "/predict", "body": …}`` is HTTP; ``service`` (Model, Transformer) is Seldon's gRPC, with the
message in ``body``; ``infer`` is that of the Open Inference Protocol.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request

CHANNELS = {}


def answer(request):
    if "times" in request:
        return timed(request)
    if "service" in request:
        return seldon(request)
    if "infer" in request:
        return infer(request)
    body = request.get("body")
    data = None if body is None else json.dumps(body).encode()
    url = f"http://127.0.0.1:{request['port']}{request['path']}"
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=60) as response:
            return {"status": response.status, "text": response.read().decode()}
    except urllib.error.HTTPError as error:
        with error:
            return {"status": error.code, "text": error.read().decode()}
    except OSError as error:
        return {"error": str(error)}


def timed(request):
    """The seconds that each of several HTTP requests took, by turns to each of the ports, a connection each."""
    import http.client

    body = json.dumps
    taken = [[] for _ in request["each"]]
    for _ in range(request["times"]):
        for n, one in enumerate(request["each"]):
            started = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", one["port"])
            connection.request("POST", one["path"], body(one["body"]), {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            connection.close()
            taken[n].append(time.perf_counter() - started)
            assert response.status == 200
    return {"seconds": taken}


def channel(port):
    import grpc

    if port not in CHANNELS:
        CHANNELS[port] = grpc.insecure_channel(f"127.0.0.1:{port}")
    return CHANNELS[port]


def seldon(request):
    import grpc
    from google.protobuf import empty_pb2, json_format
    from seldon_core.proto import prediction_pb2, prediction_pb2_grpc

    stub = getattr(prediction_pb2_grpc, f"{request['service']}Stub")(channel(request["port"]))
    body = request.get("body")
    message = empty_pb2.Empty() if body is None else json_format.ParseDict(body, prediction_pb2.SeldonMessage())
    try:
        answered = getattr(stub, request["method"])(message, wait_for_ready=True, timeout=120)
    except grpc.RpcError as error:
        return {"code": error.code().name, "text": error.details()}
    return {"message": json_format.MessageToDict(answered)}


def infer(request):
    import grpc
    from google.protobuf import json_format
    from mlserver.grpc import dataplane_pb2, dataplane_pb2_grpc

    stub = dataplane_pb2_grpc.GRPCInferenceServiceStub(channel(request["port"]))
    message = json_format.ParseDict(request["infer"], dataplane_pb2.ModelInferRequest())
    try:
        answered = stub.ModelInfer(message, wait_for_ready=True, timeout=120)
    except grpc.RpcError as error:
        return {"code": error.code().name, "text": error.details()}
    return {"message": json_format.MessageToDict(answered)}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
