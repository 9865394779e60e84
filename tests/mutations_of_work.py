"""What the fuzzers do that takes longer: exports, whose every byte is read, and commands that run or write something."""

from __future__ import annotations

import ast
import contextlib
import copy
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from mutations import ODD, STACK, Failed, Shop, call, check_secret, damaged, mutated, written

ORCHESTRATORS: dict[str, dict[str, Any]] = {
    "airflow": {"type": "airflow", "dags_folder": "dags", "url": "http://localhost:8080"},
    "kubeflow": {"type": "kubeflow", "install": ["turnout"], "kubernetes_secrets": {"FUZZ_TOKEN": "name/key"}},
    "beam": {"type": "beam"},
}  # fmt: skip
FOLDERS = (
    "new",
    "new/deep",
    "caf\u00e9",
    "x y",
    "[bold]x[/]",
    "\x1b]0;x\x07",
    "stacks/fuzz.yaml",
    ".",
    "",
    "-x",
    "a" * 300,
)
NAMES = ("own", "Own", "", "x'; import os #", "json", "turnout", "a" * 300, "\x1b[1m", "../x", "caf\u00e9")


def fuzz_export(shop: Shop, chance: random.Random) -> str:
    """Export by an odd stack, and read what was written as its readers do."""
    document = {**yaml.safe_load(STACK), "accept": ["memory", "cpu"]}
    kind = chance.choice(sorted(ORCHESTRATORS))
    document["orchestrator"] = copy.deepcopy(ORCHESTRATORS[kind])
    document["pipelines"]["flow"]["schedule"] = chance.choice(["@daily", "0 6 * * *", None])
    if chance.random() < 0.8:
        document = mutated(document, chance)
    text = yaml.safe_dump(document, allow_unicode=True)
    (shop.root / "stacks/odd.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    out = shop.root / "exported"
    try:
        code = call("export", "fuzzed_flow.py", "--stack", "odd", "-o", str(out))[0]
        for path, data in written(out):
            check_secret(path, data)
            _read(path, data)
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return f"{kind}: exit {code}"


def _read(path: Path, data: bytes) -> None:
    """Read a file of an export.

    Raises:
        Failed: where its reader could not, or would see something that acts.
    """
    readers: dict[str, Callable[[bytes], Any]] = {
        ".py": ast.parse,
        ".json": json.loads,
        ".yaml": lambda text: list(yaml.safe_load_all(text)),
    }
    if path.suffix not in readers:
        return
    try:
        readers[path.suffix](data)
    except Exception as error:
        raise Failed(f"{path} cannot be read: {error}: {data[:2000]!r}") from error
    if b"\x1b" in data or b"\x07" in data:
        raise Failed(f"{path} holds what acts on a terminal")


def fuzz_work(shop: Shop, chance: random.Random) -> str:
    """Resume, replay, verify, begin, build or examine something, where something is odd."""
    with _undone(shop.root):
        what = chance.random()
        command = chance.choice(_commands(shop, chance))
        if what < 0.5:
            path = chance.choice(shop.documents)
            shop.put(path, damaged(path.read_bytes(), chance))
        elif what < 0.7:
            odd = yaml.safe_dump(mutated(yaml.safe_load(STACK), chance), allow_unicode=True)
            (shop.root / "stacks/fuzz.yaml").write_bytes(odd.encode("utf-8", "surrogatepass"))
        elif what < 0.9:
            place = chance.randrange(1, len(command))
            odd = str(chance.choice(ODD)).replace("\x00", "?")[:3000]
            if not command[place - 1].startswith("-") and "planted" not in odd:
                command[place] = odd
        return f"{command[0]}: exit {call(*command)[0]}"


def _commands(shop: Shop, chance: random.Random) -> list[list[str]]:
    run, step = (
        chance.choice(shop.runs),
        chance.choice(["numbers", "double.0", "double", "total", "breaks", "small", "when_1"]),
    )
    found = [
        ["runs", "resume", run], ["runs", "resume", run, "--json"], ["debug", run, step], ["debug", run, step, "--json"],
        ["debug", run, step, "--code", "here"], ["verify", "fuzzed_flow.py", "--stack", "fuzz", "--stack", "fuzz"],
        ["verify", "fuzzed_flow.py", "--stack", "fuzz", "--stack", "fuzz", "-p", "count=3", "--json"],
        ["runs", "invalidate", run, step], ["init", chance.choice(FOLDERS)],
        ["image", "build", "fuzzed_flow.py", "--file-only", "-o", chance.choice(FOLDERS), "--tag", chance.choice(NAMES)],
        ["image", "build", "fuzzed_flow.py", "--file-only", "--bake-code", "--base", chance.choice(NAMES), "--json"],
        ["plugin", "new", chance.choice(NAMES), "--kind", "tracker"], ["plugin", "list"], ["plugin", "list", "--json"],
    ]  # fmt: skip
    return found if chance.random() < 0.9 else [["plugin", "doctor"]]  # which starts an interpreter


@contextlib.contextmanager
def _undone(folder: Path) -> Iterator[None]:
    """Whatever is changed below a folder is changed back."""
    before = dict(written(folder))
    try:
        yield
    finally:
        for path, data in written(folder):
            check_secret(path, data)
            if path not in before:
                path.unlink()
        for path, data in before.items():
            if not path.is_file() or path.read_bytes() != data:
                Shop.put(path, data)
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir() and not any(path.iterdir()) and not any(path in kept.parents for kept in before):
                path.rmdir()
