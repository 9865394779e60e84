"""Serving in a container: one version of an endpoint, until it is told to stop; one that cannot be served ends it."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from turnout.base.errors import TurnoutError
from turnout.model.endpoint_plan import decode
from turnout.serving.endpoint_folder import EndpointFolder, Share, Wanted
from turnout.serving.supervisor import Supervisor

PLAN = "TURNOUT_ENDPOINT"
"""The variable that names the file of the plan, where no argument does."""
STEP = "TURNOUT_ENDPOINT_STEP"
"""The variable that names the step of a node, where no option does."""


def main(arguments: Sequence[str]) -> int:
    """Serve the plan of a file, or one step of it; what it needs, it takes from the store that ``TURNOUT_STORE`` names.

    Returns 0 after a SIGTERM, 1 where the endpoint cannot be served, which the end of standard error explains.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.plan is None:
        parser.error(f"name the file of the endpoint's plan, here or as ${PLAN}")
    with tempfile.TemporaryDirectory(prefix="turnout-endpoint-") as path:
        folder = EndpointFolder(Path(path))
        folder.to_stderr = True
        try:
            plan = decode(Path(given.plan).read_bytes(), given.plan)
        except OSError as error:
            why = f"the plan {given.plan} cannot be read: {error.strerror}"
            print(f"turnout: the endpoint cannot be served: {why}", file=sys.stderr)
            print("  fix: give the path of endpoint.json, which `turnout export ENDPOINT` writes", file=sys.stderr)
            return 1
        except TurnoutError as error:
            print(f"turnout: the endpoint cannot be served: {error}", file=sys.stderr)
            return 1
        folder.keep(plan)
        folder.wanted = Wanted(
            generation=0,
            versions=(Share(version=plan.digest, share=1.0, interpreter=sys.executable),),
            host=given.host,
            port=given.port,
            workers=given.workers,
            rows=given.max_rows,
            bytes=given.max_bytes,
            hosts=("*",),  # a gateway calls it by names of its own
            named_errors=given.errors == "named",
            receive_timeout=given.receive_timeout,
            stop_timeout=given.stop_timeout,
            step=given.step,
        )
        supervisor = Supervisor(folder, lasting=False)
        try:
            supervisor.run()
        except OSError as error:
            print(f"turnout: the endpoint cannot be served: {error}", file=sys.stderr)
            return 1
        serving = folder.serving
        if serving is not None and serving.state == "failed":
            print(f"turnout: the endpoint {plan.name} cannot be served: {serving.message}", file=sys.stderr)
            return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m turnout.serving container", description=main.__doc__)
    parser.add_argument(
        "plan", nargs="?", default=os.environ.get(PLAN), help=f"the file of the endpoint's plan; else ${PLAN}"
    )
    parser.add_argument(
        "--step", default=os.environ.get(STEP, ""), help=f"answer this step alone, a node of a graph; else ${STEP}"
    )
    parser.add_argument("--host", default="0.0.0.0", help="the address to listen on")  # noqa: S104 - a pod's own
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--workers", type=int, default=1, help="how many processes answer")
    parser.add_argument("--max-rows", type=int, default=10_000)
    parser.add_argument("--max-bytes", type=int, default=16 << 20)
    parser.add_argument("--receive-timeout", type=float, default=60.0, help="seconds for a request to come")
    parser.add_argument("--stop-timeout", type=float, default=60.0, help="seconds for answers after a SIGTERM")
    parser.add_argument("--errors", choices=["named", "generic"], default="named")
    return parser
