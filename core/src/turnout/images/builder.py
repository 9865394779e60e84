"""What builds images: docker, podman or buildah, whichever there is."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from turnout.base.errors import ConfigError, RunError
from turnout.images.dockerfile import SECRET

BUILDERS = ("docker", "podman", "buildah")
STDERR = 2
"""The file of standard error, whatever `sys.stderr` is just now."""


def find() -> str | None:
    """The first builder that there is, or None. Docker counts where its daemon answers."""
    for name in BUILDERS:
        if shutil.which(name) and (name != "docker" or _answers()):
            return name
    return None


def build(builder: str, tag: str, folder: Path, pip_config: Path | None = None, options: Sequence[str] = ()) -> None:
    """Build the image of a folder under a tag; what the builder says goes to standard error.

    Args:
        pip_config: a file that reaches the build as a secret, and is in no layer.
        options: more options of the builder's own: ``--platform``, ``--network``.

    Raises:
        ConfigError: when there is no such builder.
        RunError: when it fails.
    """
    secret = [] if pip_config is None else ["--secret", f"id={SECRET},src={pip_config}"]
    command = [builder, "build", "--tag", tag, *secret, *options, str(folder)]
    _run(command, f"{builder} could not build {tag}", "see what it printed above")


def push(builder: str, tag: str) -> None:
    """Push an image to the registry that its tag names.

    Raises:
        RunError: when the builder fails.
    """
    _run([builder, "push", tag], f"{builder} could not push {tag}", f"sign in to the registry: {builder} login")


def _run(arguments: Sequence[str], what: str, fix: str) -> None:
    environ = {**os.environ, "DOCKER_BUILDKIT": "1"}
    try:
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=STDERR, env=environ, check=False)
    except FileNotFoundError:
        raise ConfigError(
            f"there is no {arguments[0]} on this machine", fix=f"install it, or choose another of {', '.join(BUILDERS)}"
        ) from None
    if done.returncode:
        raise RunError(what, why=f"it ended with {done.returncode}", fix=fix)


def _answers() -> bool:
    asked = ["docker", "version", "--format", "{{.Server.Version}}"]
    return subprocess.run(asked, capture_output=True, check=False, timeout=30).returncode == 0
