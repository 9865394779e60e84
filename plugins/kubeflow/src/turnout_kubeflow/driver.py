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
from types import FrameType
from typing import Any

from turnout.plugin_api import end_with_driver
from turnout_kubeflow import containers

GRACE = 10.0
"""The seconds that containers have for their end when a run is cancelled."""


def main(folder: Path) -> None:
    """Run the specification; raise what kfp.local raises when a task fails."""
    settings = json.loads((folder / "arguments.json").read_bytes())
    signal.signal(signal.SIGTERM, _stop(settings))
    end_with_driver()
    warnings.simplefilter("ignore")  # kfp.local warns of display names and resources, which it does without
    from kfp import components, local

    local.init(runner=_runner(settings, folder), pipeline_root=str(folder / "kfp"))
    pipeline: Any = components.load_component_from_file(str(folder / "pipeline.yaml"))
    pipeline(**settings["arguments"])


def _runner(settings: dict[str, Any], folder: Path) -> Any:
    from kfp import local

    shared = settings["containers"]
    if shared is None:
        return local.SubprocessRunner(use_venv=False)
    environment = {name: os.environ[name] for name in shared["environment"]}
    return containers.runner(settings["engine_run"], environment, [*shared["folders"], str(folder)], shared["network"])


def _stop(settings: dict[str, Any]) -> Any:
    """What ends this process when it is asked to: the containers of its run end first."""

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if settings["containers"] is not None:
            containers.stop(settings["engine_run"], GRACE)
        os._exit(1)

    return stop


if __name__ == "__main__":
    main(Path(sys.argv[1]))
