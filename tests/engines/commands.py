"""The command line, called in a project of its own as its user would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

TURNOUT = str(Path(sys.executable).with_name("turnout"))


class Project:
    """A copy of the folder *source* in *folder*, its commands, and the stacks that are written into it."""

    def __init__(self, source: Path, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("AIRFLOW", "TURNOUT", "PYTEST"))
            },
            "TURNOUT_CACHE": str(cache),
        }
        ignored = shutil.ignore_patterns(".turnout", "__pycache__", ".pytest_cache")
        shutil.copytree(source, folder, ignore=ignored, dirs_exist_ok=True)

    def stack(self, name: str, orchestrator: dict[str, Any]) -> None:
        """Write ``stacks/NAME.yaml``."""
        (self.folder / "stacks").mkdir(exist_ok=True)
        stack = {"extends": "local", "orchestrator": orchestrator}
        (self.folder / "stacks" / f"{name}.yaml").write_text(json.dumps(stack), encoding="utf-8")

    def start(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """Start a command in a session of its own; standard error goes where standard output does."""
        return subprocess.Popen(
            [TURNOUT, *words],
            cwd=self.folder,
            env={**self.environment, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def call(self, *words: str, code: int = 0, **environ: str) -> str:
        """Run a command to its end, which must be *code*, and return its standard output, or its error where it fails."""
        done = subprocess.run(
            [TURNOUT, *words],
            cwd=self.folder,
            env={**self.environment, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stderr if code else done.stdout

    def json(self, *words: str) -> Any:
        """What a command says with ``--json``."""
        return json.loads(self.call(*words, "--json"))
