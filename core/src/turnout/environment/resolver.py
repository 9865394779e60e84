"""uv, as turnout calls it: finding it, running it, and telling its errors without secrets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from turnout.base.errors import PlanError

_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/\s]+@")
_BOX = re.compile(r"[\u2500-\u257f\u25b6\u00d7]")
_ABSENT = re.compile(r"Because (?:there (?:is|are) no versions? of (\S+?),? and |(\S+) was not found in )")
"""How uv begins where no index has a package, or not in the version that is asked for."""
_NETWORK = ("Failed to fetch", "error sending request", "network was disabled", "Could not connect", "dns error")


def redact(text: str) -> str:
    """*text* without the user names, passwords and tokens that URLs in it hold."""
    return _USERINFO.sub(r"\1", text)


def binary() -> str:
    """The path of uv.

    Raises:
        PlanError: when it is neither beside turnout nor on the path.
    """
    try:
        import uv

        return uv.find_uv_bin()
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise PlanError(
            "uv was not found; it locks and makes the environments of steps",
            fix="install it beside turnout: pip install uv",
        )
    return found


def run(
    what: str,
    arguments: Sequence[str],
    *,
    cwd: Path | None = None,
    conflict: str = "",
    fix: str | None = None,
    index: Mapping[str, str] | None = None,
) -> str:
    """Run uv and return what it prints.

    Args:
        what: what cannot be done if it fails, for the error: ``the environment cannot be locked``.
        conflict: why that is, where packages are there and the index answers.
        index: further variables, those of :func:`turnout.environment.package_index.variables`.

    Raises:
        PlanError: when uv fails; its own explanation, shortened, is the reason.
    """
    environment = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "CONDA_PREFIX"}}
    environment |= {"NO_COLOR": "1", "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never", **(index or {})}
    done = subprocess.run(
        [binary(), *arguments], capture_output=True, text=True, encoding="utf-8", errors="replace", env=environment,
        cwd=cwd, check=False,
    )  # fmt: skip
    if done.returncode:
        reason = explanation(done.stderr)
        if any(sign in done.stderr for sign in _NETWORK):
            what = f"{what}: the package index cannot be reached"
            fix = (
                "make the package index reachable, or install the project's dependencies into the interpreter that "
                "runs turnout, whose versions then are taken"
            )
        elif absent := _ABSENT.search(reason):
            what = f"no package index has {absent[1] or absent[2]}: {what}"
            fix = "see how it is spelt, and which index the stack names: environment: {index_url, find_links}"
        elif conflict:
            what = f"{what}: {conflict}"
        raise PlanError(what, why=reason, fix=fix)
    return done.stdout


def export(root: Path, pruned: Sequence[str]) -> str:
    """The requirements a project's ``uv.lock`` pins, without development groups and what only *pruned* ones need."""
    return run(
        "uv.lock cannot be read",
        [
            "export", "--quiet", "--frozen", "--offline", "--no-hashes", "--no-emit-project", "--no-default-groups",
            "--no-annotate", "--no-header", "--format", "requirements-txt", "--python", sys.executable,
            *(part for name in pruned for part in ("--prune", name)),
        ],
        cwd=root,
        fix="run `uv lock` in the project's folder",
    )  # fmt: skip


def compile_pins(
    root: Path,
    inputs: Sequence[str],
    *,
    pyproject: bool,
    preferred: Sequence[str],
    constraints: Sequence[str],
    index: Mapping[str, str] | None = None,
) -> str:
    """Resolve requirements for the running interpreter to exact pins, as near to the *preferred* ones as can be.

    Args:
        inputs: requirements, one a line.
        pyproject: whether the project's ``pyproject.toml`` is an input, too.
        constraints: requirements that bound versions without asking for anything.
        index: as for :func:`run`.
    """
    with tempfile.TemporaryDirectory(prefix="turnout-lock-") as temporary:
        folder = Path(temporary)
        for name, lines in (("step.in", inputs), ("limits.txt", constraints), ("pins.txt", preferred)):
            (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        run(
            "the environment cannot be locked",
            [
                "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python", sys.executable,
                "--constraint", str(folder / "limits.txt"), "--output-file", str(folder / "pins.txt"),
                str(folder / "step.in"), *(["pyproject.toml"] if pyproject else []),
            ],
            cwd=root,
            conflict="its requirements do not go together",
            fix="relax one of them: the project's dependencies or the step's requirements",
            index=index,
        )  # fmt: skip
        return (folder / "pins.txt").read_text(encoding="utf-8")


def explanation(stderr: str) -> str:
    """uv's reason in one paragraph: no boxes, no colours, no hints, no credentials, at most 600 characters."""
    lines = [_BOX.sub("", line).strip() for line in redact(stderr).splitlines()]
    lines = [line for line in lines if line and not line.startswith(("warning:", "Using ", "Resolved "))]
    text = " ".join(lines).split(" hint: ")[0].removeprefix("error: ")
    text = text.removeprefix("No solution found when resolving dependencies").lstrip(": ").removeprefix("cause: ")
    return text if len(text) <= 600 else f"{text[:597]}..."
