"""Runs a specification by kfp.local: ``python -m turnout_kubeflow.driver FOLDER``, which turnout's own driver starts.

The folder has ``pipeline.yaml``, and in ``arguments.json`` what kfp.local is told.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from turnout.plugin_api import ENGINE_RUN, end_with_driver
from turnout_kubeflow import containers

GRACE = 10.0
"""The seconds that containers have for their end when a run is cancelled."""


def main(folder: Path) -> None:
    """Run the specification; raise what kfp.local raises when a task fails."""
    settings = json.loads((folder / "arguments.json").read_bytes())
    engine_run, shared = os.environ[ENGINE_RUN], settings["containers"]

    def stop(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if shared is not None:
            containers.stop(engine_run, GRACE)
        os._exit(1)

    signal.signal(signal.SIGTERM, stop)
    end_with_driver()
    warnings.simplefilter("ignore")  # kfp.local warns of display names and resources, which it does without
    from kfp import components, local

    runner = local.SubprocessRunner(use_venv=False)
    if shared is not None:
        environment = {name: os.environ[name] for name in shared["environment"]}
        runner = containers.runner(engine_run, environment, [*shared["folders"], str(folder)], shared["network"])
    local.init(runner=runner, pipeline_root=str(folder / "kfp"))
    pipeline: Any = components.load_component_from_file(str(folder / "pipeline.yaml"))
    pipeline(**settings["arguments"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
