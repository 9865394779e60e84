"""Values that hold files, paths or things that read files: the content travels, or the step says where it would not."""

from __future__ import annotations

import json
import os
import subprocess
import sys

KINDS = """
    import dataclasses
    from typing import NamedTuple
    import pydantic
    from turnout import File, Folder

    @dataclasses.dataclass
    class Report:
        text: File
        pictures: Folder
        title: str = "r"

    class Pair(NamedTuple):
        left: File
        right: File

    class Model(pydantic.BaseModel):
        weights: Path
        name: str = "m"

    def written(name, text="content"):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def folder(name):
        written(f"{name}/a.txt", name)
        written(f"{name}/deep/b.txt", name * 2)
        return Folder(name)
"""
HELD = {
    "dict of files": ('{"a": File(written("a.txt")), "b": File(written("b.csv", "1,2"))}', "dict[str, File]"),
    "dict of folders": ('{"a": folder("x"), "b": folder("y")}', "dict[str, Folder]"),
    "dataclass": ('Report(File(written("r.txt")), folder("p"))', "Report"),
    "tuple": ('(File(written("r.txt")), 3)', "Any"),
    "named tuple": ('Pair(File(written("l.txt", "l")), File(written("r.txt", "r")))', "Pair"),
    "pydantic": ('Model(weights=Path(written("w.bin").name))', "Model"),
    "nested": ('{"runs": [{"report": Report(File(written("r.txt")), folder("p"))}]}', "dict"),
    "paths": ('[Path.cwd() / written("r.txt"), Path(written("s.txt").name)]', "Any"),
    "set": ('{File(written("r.txt"))}', "Any"),
}
READ = """
import json, sys
from pathlib import Path
from turnout import File, Folder
from turnout.api.run import Run

def told(value):
    if isinstance(value, Path):
        if value.is_dir():
            files = {p.relative_to(value).as_posix(): p.read_text() for p in sorted(value.rglob("*")) if p.is_file()}
            return [type(value).__name__, files]
        return [type(value).__name__, value.suffix, value.read_text()]
    if isinstance(value, dict):
        return {key: told(item) for key, item in value.items()}
    if hasattr(value, "__dict__"):
        return [type(value).__name__, told(vars(value))]
    if hasattr(value, "_fields"):
        return [type(value).__name__, told(value._asdict())]
    if isinstance(value, (list, tuple, set)):
        return [type(value).__name__, *map(told, value)]
    return value

run = Run("latest", stack="stack.yaml")
print(json.dumps({one.name: told(one.load()) for one in run}))
"""
TEXT = ["File", ".txt", "content"]
FOLDERS = {name: ["Folder", {"a.txt": name, "deep/b.txt": name * 2}] for name in "xyp"}
REPORT = ["Report", {"text": TEXT, "pictures": FOLDERS["p"], "title": "r"}]
ARRIVED = {
    "dict of files": {"a": TEXT, "b": ["File", ".csv", "1,2"]},
    "dict of folders": {"a": FOLDERS["x"], "b": FOLDERS["y"]},
    "dataclass": REPORT,
    "tuple": ["tuple", TEXT, 3],
    "named tuple": ["Pair", {"left": ["File", ".txt", "l"], "right": ["File", ".txt", "r"]}],
    "pydantic": ["Model", {"weights": ["PosixPath", ".bin", "content"], "name": "m"}],
    "nested": {"runs": ["list", {"report": REPORT}]},
    "paths": ["list", ["PosixPath", ".txt", "content"], ["PosixPath", ".txt", "content"]],
    "set": ["set", TEXT],
}


def steps(values: dict[str, tuple[str, str]]) -> str:
    lines = []
    for name, (expression, declared) in values.items():
        function = name.replace(" ", "_")
        lines += ["    @step", f"    def {function}() -> {declared}:", f"        return {expression}", ""]
    lines += ["    @pipeline", "    def flow():", *(f"        {name.replace(' ', '_')}()" for name in values)]
    return "\n".join(lines)


def elsewhere(project, code: str) -> str:
    """What a process prints that has imported nothing but what it reads."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.folder,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_files_and_folders_inside_a_value_travel(project):
    _, state, _ = project.run(KINDS + steps(HELD))
    assert state == "succeeded"
    arrived = json.loads(elsewhere(project, READ))
    assert arrived == {name.replace(" ", "_"): value for name, value in ARRIVED.items()}


def test_who_reads_a_file_inside_a_value_changes_a_copy(project):
    run, state, _ = project.run(
        KINDS
        + """
    @step
    def make() -> dict[str, File]:
        return {"a": File(written("a.txt"))}

    @step
    def spoil(held: dict[str, File]) -> str:
        held["a"].write_text("spoiled")
        return "done"

    @step
    def read(held: dict[str, File], done: str) -> str:
        return held["a"].read_text()

    @pipeline
    def flow():
        held = make()
        read(held, spoil(held))
    """
    )
    assert (state, run["read"].load()) == ("succeeded", "content")


KEPT = {
    "lazy": ('pl.scan_csv(written("a.csv", "x\\n1\\n"))', "pl.LazyFrame"),
    "lazy by a full path": ('pl.scan_csv(Path.cwd() / written("a.csv", "x\\n1\\n"))', "Any"),
    "lazy in a dict": ('{"f": pl.scan_csv(written("a.csv", "x\\n1\\n"))}', "dict"),
    "mapped": ('np.memmap(written("a.bin", "12345678"), dtype="u1")', "Any"),
    "mapped in a dict": ('{"m": [np.memmap(written("a.bin", "12345678"), dtype="u1")]}', "dict"),
    "mapped in an object": ('Plain(np.memmap(written("a.bin", "12345678"), dtype="u1"))', "Any"),
}
REFUSED = {
    "text": ('{"report": str(Path.cwd() / written("r.txt"))}', "dict", "['report'] is the path of a file of this step"),
    "text alone": ('str(Path.cwd() / written("r.txt"))', "str", "it is the path of a file of this step"),
    "open file": ('{"f": [open(written("r.txt"))]}', "dict", "['f'][0], a _io.TextIOWrapper, cannot be pickled"),
    "dataset": ('{"d": ds.dataset(table("d.parquet"))}', "dict", "['d'], a pyarrow._dataset.FileSystemDataset,"),
    "object with a path": ('Plain(str(Path.cwd() / written("r.txt")))', "Any", "it holds the path 'r.txt'"),
    "object with a name": ('Plain("r.txt" if written("r.txt") else "")', "Any", "it holds the path 'r.txt'"),
    "object with a file": ('Plain(File(written("r.txt")))', "Any", ".held, a turnout.files.File, cannot be pickled"),
    "object with an own path": ('Plain(written("r.txt"))', "Any", ".held, a pathlib.PosixPath, cannot be pickled"),
    "object with a lazy": (
        'Plain(pl.scan_csv(written("a.csv", "x\\n1\\n")))',
        "Any",
        ".held, a polars.lazyframe.frame",
    ),
    "no file": ('{"a": [File("nothing.txt")]}', "dict", "['a'][0]: there is no file nothing.txt"),
    "lock": ('{"model": Plain(Plain(threading.Lock()))}', "dict", "['model'].held.held, a _thread.lock, cannot be"),
    "connection": ('{"c": sqlite3.connect("a.db")}', "dict", "['c'], a sqlite3.Connection, cannot be pickled"),
}
LIBRARIES = """
    import sqlite3
    import numpy as np, polars as pl, pyarrow as pa, pyarrow.dataset as ds, pyarrow.parquet as pq

    class Plain:
        def __init__(self, held):
            self.held = held

    def table(name):
        pq.write_table(pa.table({"a": [1]}), name)
        return name
"""
READ_KEPT = """
import json
from turnout.api.run import Run

def told(value):
    if isinstance(value, dict):
        return {key: told(item) for key, item in value.items()}
    if isinstance(value, list):
        return [told(item) for item in value]
    if type(value).__name__ == "Plain":
        return told(value.held)
    if type(value).__name__ == "LazyFrame":
        return ["LazyFrame", value.collect().to_dict(as_series=False)]
    return ["array", value.tolist()]

print(json.dumps({one.name: told(one.load()) for one in Run("latest", stack="stack.yaml")}))
"""


def test_what_reads_a_file_later_is_read_when_it_is_saved(project):
    _, state, _ = project.run(KINDS + LIBRARIES + steps(KEPT))
    assert state == "succeeded"
    lazy, array = ["LazyFrame", {"x": [1]}], ["array", list(b"12345678")]
    assert json.loads(elsewhere(project, READ_KEPT)) == {
        "lazy": lazy,
        "lazy_by_a_full_path": lazy,
        "lazy_in_a_dict": {"f": lazy},
        "mapped": array,
        "mapped_in_a_dict": {"m": [array]},
        "mapped_in_an_object": array,
    }


def test_what_would_lose_a_file_is_refused_where_it_is(project):
    values = {name: (expression, declared) for name, (expression, declared, _) in REFUSED.items()}
    run, state, _ = project.run(KINDS + LIBRARIES + steps(values))
    assert state == "failed"
    texts = {name: project.log(run, name.replace(" ", "_")) for name in REFUSED}
    told = {
        name: "".join(line for line in text.splitlines() if line.startswith("output ")) for name, text in texts.items()
    }
    assert {name: message for name, (_, _, message) in REFUSED.items() if message not in told[name]} == {}, told
    assert not any("Traceback" in text for text in texts.values())


def test_an_input_is_a_file_of_the_step_as_well(project):
    (project.folder / "in.csv").write_text("x\n1\n")
    run, state, _ = project.run(
        KINDS
        + LIBRARIES
        + """
    @step
    def hand_on(path: File) -> dict[str, File]:
        return {"same": path}

    @step
    def scan(path: File) -> pl.LazyFrame:
        return pl.scan_csv(path).with_columns(y=pl.col("x") * 2)

    @step
    def read(held: dict[str, File], frame: pl.LazyFrame) -> str:
        return held["same"].read_text() + str(frame.collect().rows())

    @step
    def keep(path: File):
        return Plain({"source": str(path)})

    @pipeline
    def flow(path: File = "in.csv"):
        read(hand_on(path), scan(path))
        keep(path)
    """
    )
    assert state == "failed"
    assert run["read"].load() == "x\n1\n[(1, 2)]"
    assert "it holds the path 'input.csv' to a file of this step" in project.log(run, "keep")
