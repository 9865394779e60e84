"""What is behind a server of Kubeflow Pipelines, as far as it goes without a cluster: kfp.local runs what was submitted.

Kubeflow's driver replaces a placeholder where it is all of a task's constant input, and nowhere else; so does this.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_RUN = """
import json, sys
from kfp import components, local
local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root="outputs", raise_on_error=False)
components.load_component_from_file("pipeline.yaml")(**json.load(open("arguments.json")))
"""


def carry_out(
    pipeline: Any, arguments: Mapping[str, Any], folder: Path, environ: Mapping[str, str], *, run: str, time: str = ""
) -> None:
    """Run a specification to its end, in *folder*.

    Args:
        run: the back end's id of the run.
        time: the time for which it is scheduled, or else when it was made.
    """
    known = {"{{$.pipeline_job_uuid}}": run, "{{$.pipeline_job_schedule_time_utc}}": time}
    pipelines = [pipeline["root"], *(one for one in pipeline["components"].values() if "dag" in one)]
    for task in (task for one in pipelines for task in one["dag"]["tasks"].values()):
        for given in task["inputs"]["parameters"].values():
            if "runtimeValue" in given:
                given["runtimeValue"]["constant"] = known[given["runtimeValue"]["constant"]]
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")
    (folder / "arguments.json").write_text(json.dumps(arguments), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _RUN],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
