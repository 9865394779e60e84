"""What the README and the guide show is run, block by block, as a reader would."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = {"docs/benchmarks.md"}
"""What is linked to and written by `make` only."""
SUFFIXES = {"python": ".py", "yaml": ".yaml", "toml": ".toml"}


class Block(NamedTuple):
    language: str
    line: int
    text: str

    @property
    def file(self) -> str | None:
        """The file that the block is, by its first line."""
        found = re.match(r"# (\S+)\n", self.text)
        is_file = found is not None and found[1].endswith(SUFFIXES.get(self.language, " "))
        return found[1] if found is not None and is_file else None


def blocks(document: Path) -> list[Block]:
    text = document.read_text(encoding="utf-8")
    found = re.finditer(r"(?ms)^```(\w+)\n(.*?)^```$", text)
    return [Block(one[1], text.count("\n", 0, one.start()) + 2, one[2]) for one in found]


PROMPT = """\
import contextlib, io, json, sys
space = {"__name__": "prompt"}
for line in sys.stdin:
    block = json.loads(line)
    printed = []
    def show(*values):
        printed.append(" ".join(map(str, values)))
    space["print"] = show
    sys.path[:] = ["", *[path for path in sys.path if path]]
    with contextlib.redirect_stdout(sys.stderr):
        exec(compile("\\n" * (block["line"] - 1) + block["text"], block["name"], "exec"), space)
    json.dump(printed, sys.stdout)
    print(flush=True)
"""


class Reader:
    """Reads a document: writes its files, types its Python at one prompt, its commands in a shell."""

    def __init__(self, folder: Path, python: str = sys.executable, prefix: tuple[str, ...] = ()) -> None:
        """Args: prefix: what every command is started by, such as ``env -i``."""
        self.folder = folder
        self.prefix = prefix
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(("TURNOUT", "PYTEST"))}
        self.environ |= {
            "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}",
            "TURNOUT_CACHE": str(folder.parent / "cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._errors = (folder.parent / "prompt.err").open("w")
        self._prompt = subprocess.Popen(
            [*prefix, python, "-c", PROMPT],
            cwd=folder,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text, encoding="utf-8")

    def type(self, name: str, block: Block) -> None:
        """Run Python at the prompt; what a single line prints is what its comment says."""
        assert self._prompt.stdin is not None
        assert self._prompt.stdout is not None
        self._prompt.stdin.write(json.dumps({"line": block.line, "text": block.text, "name": name}) + "\n")
        self._prompt.stdin.flush()
        answer = self._prompt.stdout.readline()
        assert answer, f"{name}:{block.line}: {(self.folder.parent / 'prompt.err').read_text()}"
        printed = json.loads(answer)
        said = [line.partition("  # ")[2].strip() for line in block.text.splitlines() if line.startswith("print(")]
        assert len(printed) == len(said), (block, printed)
        for shown, comment in zip(printed, said, strict=True):
            assert not comment or "\n" in shown or shown == comment, (name, block.line)

    def call(self, name: str, line: int, command: str) -> str:
        done = subprocess.run(
            [*self.prefix, "bash", "-c", command],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}:{line}: {command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def close(self) -> None:
        assert self._prompt.stdin is not None
        assert self._prompt.stdout is not None
        self._prompt.stdin.close()
        self._prompt.wait(30)
        self._prompt.stdout.close()
        self._errors.close()


@pytest.fixture
def reader(tmp_path):
    folder = tmp_path / "reader"
    folder.mkdir()
    made = Reader(folder)
    yield made
    made.close()


def commands(block: Block) -> list[str]:
    lines = [line.removeprefix("$ ").partition("  #")[0].strip() for line in block.text.splitlines()]
    return [line for line in lines if line.startswith("turnout ")]


def test_the_readme(reader):
    (sample,) = [block for block in blocks(ROOT / "README.md") if block.language == "python"]
    reader.write("series.py", sample.text)
    said = {}
    for block in blocks(ROOT / "README.md"):
        for command in commands(block) if block.language == "console" else ():
            said[command] = reader.call("README.md", block.line, command)
    assert said["turnout artifacts load latest report"] == "the sum is 1.142\n"
    assert len(said) >= 3


def test_the_guide(reader):
    ran = 0
    for block in blocks(ROOT / "docs" / "guide.md"):
        if block.file is not None:
            reader.write(block.file, block.text)
        elif block.language == "python":
            reader.type("guide.md", block)
            ran += 1
        elif block.language == "console":
            for command in commands(block):
                reader.call("guide.md", block.line, command)
    assert ran >= 8
    assert "2 passed" in reader.call("guide.md", 0, "python -m pytest -q -p no:cacheprovider")


def test_the_page_of_features(reader):
    reader.environ["TURNOUT_STACK"] = "weather"  # which the page exports
    said = {}
    for block in blocks(ROOT / "docs" / "features.md"):
        if block.file is not None:
            reader.write(block.file, block.text)
        elif block.language == "python":
            reader.type("features.md", block)
        for command in commands(block) if block.language == "console" else ():
            said[command] = reader.call("features.md", block.line, command)
    assert said["turnout features check flights.py"] == "the feature store has all that is asked for\n"
    assert said["turnout endpoints predict delay"].startswith('{"origin":"JFK"}\n')


def known_commands() -> set[str]:
    """Every command there is: ``run``, ``runs list`` …"""
    import click

    from turnout.cli.app import application

    context = click.Context(application)
    found = set()
    for name in application.list_commands(context):
        command = application.get_command(context, name)
        inner = getattr(command, "commands", None)
        found |= {f"{name} {sub}" for sub in inner} if inner else {name}
    return found


DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_shown_exists(document):
    known = known_commands()
    text = document.read_text(encoding="utf-8")
    for found in re.finditer(r"(?m)(?:`|^\$ )turnout ([a-z]+)(?: ([a-z]+)\b)?", text):
        line = text.count("\n", 0, found.start()) + 1
        assert {found[1], f"{found[1]} {found[2]}"} & known, f"{document.name}:{line}: there is no {found[0]!r}"


def test_links_lead_somewhere():
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            if "://" in target:
                continue
            if path in GENERATED:
                continue
            file = document.parent / path if path else document
            assert file.exists(), f"{document.name}: {target}"
            if anchor and file.suffix == ".md":
                headings = re.findall(r"(?m)^#+ (.*)$", file.read_text(encoding="utf-8"))
                slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert anchor in slugs, f"{document.name}: {target}"
