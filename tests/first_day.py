"""The first day of a new user: every command of the README, the guide and the pages "to try it", typed from wheels.

An empty environment, an empty home, no variables (``env -i``), and where that can be had a user who may nothing. Until
something is published, wheels that are built here stand for what ``pip install`` would fetch.

Run it by ``make first-day``; it takes a few minutes.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from e2e.test_docs import Reader, blocks, commands  # noqa: E402

NOBODY = "65534"
PYTHON = (
    os.environ.get("FIRST_DAY_PYTHON") or shutil.which("python3.11", path="/usr/bin:/usr/local/bin") or sys.executable
)
EXTRAS = ("airflow", "kubeflow", "mlflow", "beam", "tensorboard")
"""What is installed beside turnout: plugins and, but for Airflow and Kubeflow, their tools."""
TRIED = (
    ("stacks.md", "turnout stack new"),
    ("mlflow.md", "turnout mlflow up"),
    ("mlflow.md", "turnout run pipeline.py --stack local-tensorboard"),
    ("beam.md", "turnout run pipeline.py --stack beam"),
)
"""The pages to try something, each with the beginning of a command of the block that is typed. The page of Airflow is typed
where its tests have a server, by tests/engines/test_airflow_trial.py."""
UP, DOWN, PORT = "turnout mlflow up", "turnout mlflow down", 5000
"""What starts a server and what stops it, and where it listens unless that is taken on this machine."""


def run(*words: str | Path, **options: object) -> None:
    """Run a command that has to succeed."""
    subprocess.run([str(word) for word in words], check=True, **options)  # type: ignore[call-overload]


class Day:
    """A folder that everything lies in, an environment of wheels, and how commands are started there."""

    def __init__(self, top: Path) -> None:
        self.top = top
        top.chmod(0o755)
        self.home = top / "home"
        self.bin = top / "venv" / "bin"
        self.home.mkdir()
        own = os.geteuid() == 0 and shutil.which("setpriv")
        self.user = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups") if own else ()
        variables = (
            f"HOME={self.home}",
            f"PATH={self.bin}:/usr/bin:/bin",
            "LANG=C.UTF-8",
            f"TMPDIR={self.folder('tmp')}",
        )
        self.prefix = (*self.user, "env", "-i", *variables)
        if own:
            os.chown(self.home, int(NOBODY), int(NOBODY))

    def folder(self, name: str) -> Path:
        """A new folder of the user's."""
        path = self.top / name
        path.mkdir()
        if os.geteuid() == 0:
            os.chown(path, int(NOBODY), int(NOBODY))
        return path

    def install(self, uv: str) -> None:
        """Build the wheels, and install them as the pages say."""
        wheels = self.top / "wheels"
        for package in (ROOT / "core", *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))):
            run(uv, "build", "--quiet", "--wheel", "--out-dir", wheels, package)
        run(uv, "venv", "--quiet", "--python", PYTHON, self.top / "venv")
        wanted = f"turnout[{','.join(EXTRAS)}]"
        options = ("--quiet", "--find-links", wheels, "--constraint", ROOT / "constraints.txt")
        environ = {**os.environ, "VIRTUAL_ENV": str(self.top / "venv")}
        run(uv, "pip", "install", *options, wanted, "pandas", "pyarrow", "pytest", env=environ)

    def reader(self, name: str) -> Reader:
        """Someone who reads a page, in a folder of its own."""
        self.folder(name)
        return Reader(self.folder(f"{name}/work"), str(self.bin / "python"), self.prefix)


def read_readme(day: Day) -> int:
    """Type the README."""
    reader, typed = day.reader("readme"), 0
    try:
        for block in blocks(ROOT / "README.md"):
            if block.language == "python":
                reader.write("series.py", block.text)
            for command in commands(block) if block.language == "console" else ():
                reader.call("README.md", block.line, command)
                typed += 1
    finally:
        reader.close()
    return typed


def read_guide(day: Day) -> int:
    """Type the guide: write its files, type its Python at one prompt, its commands in a shell."""
    reader, typed = day.reader("guide"), 0
    try:
        for block in blocks(ROOT / "docs" / "guide.md"):
            if block.file is not None:
                reader.write(block.file, block.text)
            elif block.language == "python":
                reader.type("guide.md", block)
                typed += 1
            elif block.language == "console":
                for command in commands(block):
                    reader.call("guide.md", block.line, command)
                    typed += 1
        reader.call("guide.md", 0, "python -m pytest -q -p no:cacheprovider")
    finally:
        reader.close()
    return typed


def try_pages(day: Day) -> int:
    """Type the blocks of the pages to try something, each in an empty folder."""
    typed = 0
    for number, (page, command) in enumerate(TRIED):
        reader = day.reader(f"page-{number}")
        (block,) = [one for one in blocks(ROOT / "docs" / page) if any(c.startswith(command) for c in commands(one))]
        try:
            for each in commands(block):
                if " check " not in each:  # it says that there is no Airflow here
                    reader.call(page, block.line, _with_free_port(each))
                    typed += 1
        finally:
            if UP in commands(block):
                reader.call(page, block.line, DOWN)
            reader.close()
    return typed


def _with_free_port(command: str) -> str:
    """The command that starts a server as it is typed where something else has its port."""
    if command != UP:
        return command
    with socket.socket() as server:
        try:
            server.bind(("127.0.0.1", PORT))
        except OSError:
            server.bind(("127.0.0.1", 0))
            return f"{command} --port {server.getsockname()[1]}"
    return command


def main() -> None:
    """Type all of it, or the parts named on the command line, and say how long it took."""
    import uv

    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="first-day-") as folder:
        day = Day(Path(folder))
        day.install(uv.find_uv_bin())
        print(f"installed after {time.monotonic() - started:.0f} s", flush=True)
        for read in [
            one for one in (read_readme, read_guide, try_pages) if not sys.argv[1:] or one.__name__ in sys.argv
        ]:
            typed = read(day)
            print(
                f"{read.__name__}: {typed} commands and blocks typed, after {time.monotonic() - started:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
