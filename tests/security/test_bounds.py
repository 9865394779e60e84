"""Odd documents, damaged files, paths and limits that are none: a clear error, short and escaped, and the rest goes on."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from pathlib import Path

import pytest
from mutations import CANARY, Shop, call

import turnout
from turnout.base import canonical
from turnout.base.errors import ArtifactError, TurnoutError
from turnout.project.unpacking import ensure


def enter(shop, monkeypatch):
    monkeypatch.setenv("TURNOUT_CACHE", str(shop.root.parent / "cache"))
    monkeypatch.setenv("FUZZ_TOKEN", CANARY)
    monkeypatch.delenv("TURNOUT_STACK", raising=False)
    monkeypatch.chdir(shop.root)
    return shop


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """What every test copies."""
    made = Shop(tmp_path_factory.mktemp("filled") / "shop")
    with pytest.MonkeyPatch.context() as patch:
        enter(made, patch).fill()
    return made


@pytest.fixture
def shop(filled, tmp_path, monkeypatch):
    return enter(filled.copied(tmp_path / "shop"), monkeypatch)


def last(shop: Shop, pattern: str) -> Path:
    return max((shop.store / "shop/runs").glob(pattern))


def deep(depth: int) -> str:
    return "[" * depth + "]" * depth


def edited(path: Path, **fields) -> bytes:
    return json.dumps({**json.loads(path.read_bytes()), **fields}).encode()


def sized(path: Path, size: int) -> bytes:
    document = json.loads(path.read_bytes())
    document["outputs"]["output"]["artifact"]["size"] = size
    return json.dumps(document).encode()


ODD = {
    "an endless size": ("*/steps/total/record.json", lambda path: sized(path, 10**30)),
    "a negative size": ("*/steps/total/record.json", lambda path: sized(path, -1)),
    "nested deep": ("*/steps/total/record.json", lambda path: path.read_bytes()[:-1] + f', "key_parts": {{"x": {deep(100_000)}}}}}'.encode()),
    "cut": ("*/steps/total/record.json", lambda path: path.read_bytes()[:100]),
    "empty": ("*/steps/total/record.json", lambda path: b""),
    "no JSON": ("*/steps/total/record.json", lambda path: b"\xff\x00"),
    "a newer format": ("*/steps/total/record.json", lambda path: edited(path, format=99)),
    "no outputs": ("*/steps/total/record.json", lambda path: edited(path, outputs={})),
    "a cut attempt": ("*/steps/breaks/attempts/*.json", lambda path: path.read_bytes()[:50]),
    "an attempt nested deep": ("*/steps/breaks/attempts/*.json", lambda path: path.read_bytes()[:-1] + f', "x": {deep(100_000)}}}'.encode()),
    "a cut run": ("*/run.json", lambda path: path.read_bytes()[:50]),
    "a run with parameters nested deep": ("*/run.json", lambda path: path.read_bytes()[:-1] + f', "params": {{"x": {deep(100_000)}}}}}'.encode()),
    "a cut mark": ("*/marks/1.json", lambda path: path.read_bytes()[:10]),
    "a mark of no time": ("*/marks/1.json", lambda path: edited(path, time="yesterday")),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_one_odd_document_is_named_and_the_rest_goes_on(shop, case):
    pattern, change = ODD[case]
    path = last(shop, pattern)
    run = path.relative_to(shop.store / "shop/runs").parts[0]
    other = next(name for name in shop.runs if name != run)
    data = change(path)
    with shop.changed(path, data):
        _, text = call("index", "rebuild")
        if case != "a mark of no time":
            code, shown = call("runs", "show", run)
            assert str(path.relative_to(shop.store)) in text + shown
        code, listed = call("runs", "list")
        assert code == 0
        assert other in listed
        for command in (
            ("artifacts", "list"),
            ("artifacts", "gc", "--dry-run"),
            ("runs", "show", other),
            ("runs", "compare", other, run),
        ):
            code, text = call(*command)
            assert code == 0 or "compare" in command, text
            assert len(text) < 10_000


def test_a_plan_that_was_edited(shop):
    (plan,) = (shop.store / "plans").glob("*.json")
    with shop.changed(plan, edited(plan, name="other")):
        code, text = call("runs", "show", "latest")
        assert code == 2
        assert "is not what its digest says" in text or "plan" in text
        assert call("runs", "list")[0] == 0
        assert call("artifacts", "gc", "--dry-run")[0] == 0


# the index


def damage(kind: str, path: Path) -> None:
    if kind == "no database":
        path.write_bytes(b"rubbish" * 1000)
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:3000])
    elif kind == "zeros":
        path.write_bytes(bytes(8192))
    elif kind == "a folder":
        path.unlink()
        path.mkdir()
        (path / "file").write_text("x")
    elif kind == "a link to nowhere":
        path.unlink()
        path.symlink_to("/nowhere/at/all")
    else:
        with sqlite3.connect(path) as db:
            for statement in STATEMENTS[kind].split(";"):
                db.execute(statement)
        db.close()


STATEMENTS = {
    "no tables": "DROP TABLE outputs; DROP TABLE steps; DROP TABLE tags; DROP TABLE runs",
    "other columns": "ALTER TABLE runs RENAME COLUMN info TO other",
    "rubbish in it": "UPDATE runs SET info = x'ff00'",
    "text for bytes": "UPDATE runs SET info = 'x', ended = x'ff', state = 1",
    "an odd state": "UPDATE runs SET state = 'flying'",
    "runs exchanged": "UPDATE runs SET info = (SELECT info FROM runs ORDER BY run LIMIT 1)",
    "an odd mark": "UPDATE runs SET mark = 'flying'",
    "no UTF-8": "UPDATE runs SET pipeline = CAST(x'fffe' AS TEXT), state = CAST(x'ff' AS TEXT)",
    "odd times": "UPDATE refreshed SET time = 'yesterday'",
    "odd numbers": "UPDATE outputs SET size = 'large'; UPDATE steps SET state = 7",
    "another format": "PRAGMA user_version = 77",
}
DAMAGE = ("no database", "cut", "zeros", "a folder", "a link to nowhere", *STATEMENTS)


@pytest.mark.parametrize("kind", DAMAGE)
def test_the_index_is_made_anew(shop, tmp_path, kind):
    call("runs", "list")
    expected = [call("runs", "list", "--json")[1], call("artifacts", "list", "--json")[1]]
    (path,) = (tmp_path / "cache/index").glob("*.sqlite")
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    damage(kind, path)
    for number, command in enumerate((("runs", "list", "--json"), ("artifacts", "list", "--json"))):
        code, text = call(*command)
        assert code == 0
        assert text[text.index("[") :] == expected[number]


# what is shown in a notebook


def test_the_page_of_a_run_is_escaped(shop):
    run = turnout.Run("latest")
    run.id = "<script>alert(1)</script>"
    assert "<script>" not in run._repr_html_()


# archives


def packed(*members: tuple[str, bytes], **fields) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in members:
            entry = zipfile.ZipInfo(name)
            for field, value in fields.items():
                setattr(entry, field, value)
            archive.writestr(entry, data)
    return made.getvalue()


def encrypted() -> bytes:
    data = bytearray(packed(("a.py", b"x = 1\n")))
    data[6] |= 1  # the flag, in the entry and in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


ARCHIVES = {
    "encrypted": encrypted(),
    "a file that is a folder": packed(("a", b"x"), ("a/b.py", b"y")),
    "a folder that is a file": packed(("a/b.py", b"y"), ("a", b"x")),
    "outside": packed(("../x.py", b"x")),
    "absolute": packed(("/tmp/turnout-planted.py", b"x")),
    "a long name": packed(("x" * 300 + ".py", b"x")),
    "a deep path": packed(("/".join(["d"] * 3000) + "/x.py", b"x")),
    "compressed": packed(("a.py", b"x" * 1000), compress_type=zipfile.ZIP_DEFLATED),
    "a link": packed(("a.py", b"/etc/passwd"), external_attr=0o120777 << 16),
    "no archive": b"rubbish",
    "empty": b"",
    "cut": packed(("a.py", b"x" * 1000))[:200],
    "a false sum": packed(("a.py", b"12345678")).replace(b"12345678", b"12345679"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_an_archive_that_is_none(tmp_path, case):
    data = ARCHIVES[case]
    with pytest.raises(ArtifactError) as refused:
        ensure(canonical.digest(data), lambda: data, tmp_path / "cache")
    assert len(str(refused.value)) < 8000
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir() and not path.name.startswith(".")] == []
    assert not Path("/tmp/turnout-planted.py").exists()


# paths and limits on the command line

PATHS = ("/dev/null/x", "/proc/x/y", "x" * 300, "d/" * 3000 + "x", "fuzzed_flow.py/x", "", "/")


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:12])
def test_a_path_that_cannot_be(shop, path):
    for command in (
        ("artifacts", "load", "latest", "total", "--to", path),
        ("artifacts", "load", "champion", "--to", path),
        ("runs", "compare", *shop.runs[:2], "--csv", path),
        ("init", f"{path}/new" if path == "/" else path) if path not in {"", "/"} else ("runs", "list"),
        ("plugin", "new", "own", "--kind", "tracker", "--to", path),
        ("export", "fuzzed_flow.py", "-o", path),
        ("run", f"{path}.py"),
        ("stack", "check", "--stack", f"{path}.yaml"),
    ):
        code, text = call(*command)
        assert code == 2 or command[0] == "runs", (command, text)
        assert len(text) < 20_000


LIMITS = ("10000000000000000000000000000000", "-1", "0", "nan", "1e400", "9" * 5000)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit[:8])
def test_limits_that_are_none(shop, limit):
    for command in (
        ("runs", "list", "--limit", limit),
        ("artifacts", "list", "--limit", limit),
        ("runs", "list", "--since", f"{limit}d"),
        ("artifacts", "gc", "--dry-run", "--keep-runs", limit),
        ("artifacts", "gc", "--dry-run", "--grace", f"{limit}h"),
        ("artifacts", "gc", "--dry-run", "--older-than", limit),
        ("run", "fuzzed_flow.py", "-p", f"rate={limit}"),
        ("run", "fuzzed_flow.py", "--at", limit),
        ("sweep", "fuzzed_flow.py", "-p", "rate=[0.1]", "--max-parallel", limit),
        ("debug", "latest", f"double.{limit}"),
        ("artifacts", "show", "latest", f"double.{limit}"),
        ("runs", "logs", "latest", f"double.{limit}"),
    ):
        _, text = call(*command)
        assert len(text) < 40_000, command


def test_an_error_of_50_megabytes(bench):
    bench.write(f"def fail(token):\n    raise ValueError({CANARY!r} * 5_000_000)\n")
    bench.make(bench.step("fail", token=1))
    result = bench.call("fail")
    assert result.state == "failed"
    assert len(result.message) < 20_000
    (attempt,) = bench.attempts("fail")
    assert "characters are left out" in attempt.failure.message
    assert len(bench.everything()) < 200_000
    assert attempt.failure.message.startswith("ValueError: canary")


def test_a_message_names_no_more_than_it_must(shop):
    with pytest.raises(TurnoutError) as refused:
        turnout.Run("x" * 1_000_000)
    assert len(str(refused.value)) < 2000


def test_a_run_whose_plan_is_gone_is_listed(shop):
    """Also one that nobody has marked as ended: its engine cannot be asked without the plan."""
    marks = sorted((shop.store / "shop/runs" / shop.runs[0] / "marks").iterdir())
    (plan,) = (shop.store / "plans").glob("*.json")
    for path in (*marks, plan):
        path.unlink()
    call("index", "rebuild")
    code, text = call("runs", "list")
    assert code == 0
    assert all(run in text for run in shop.runs)
    assert "plan" in text


@pytest.mark.parametrize(
    "words", [("--", "--keep-runs"), ("--", "-x"), ("--",), ("runs", "--", "--x"), ("\udce9",), ("",)]
)
def test_words_that_are_no_command(words):
    code, text = call(*words)
    assert code == (0 if text.startswith("Usage") and "error" not in text else 2)


PROJECTS = (
    "project = 3", "tool = 1", "[tool]\nturnout = 2", "[project]\nname = 3", "[tool.turnout]\nproject = 7",
    "[project]\nname = []", "[project]\nname = 'x'\ndependencies = 3", "[project]\nname = 'x'\ndependencies = [1]",
    "[project]\nname = 'x'\nrequires-python = 3", "[[project]]", "[tool.turnout]\ncode = 'x'", "[tool.uv]\nsources = 1",
    "[tool.uv]\nworkspace = 1", "[tool.turnout]\nproject = '../x'", "x = [[[[[[[[", "x = 1e", "[tool.turnout]\nstack = 1",
)  # fmt: skip


@pytest.mark.parametrize("text", PROJECTS)
def test_a_project_file_that_is_none(shop, text):
    (shop.root / "pyproject.toml").write_text(text)
    for command in (("runs", "list"), ("explain", "fuzzed_flow.py", "--stack", "fuzz"), ("stack", "list")):
        code, answer = call(*command)
        assert code == 2, answer
        assert "pyproject.toml" in answer


@pytest.mark.parametrize(
    "text", [r'extends: "\ud800"', r'"\udce9": 1', 'extends: local\npipelines: {flow: {tags: {a: "\\udfff"}}}']
)
def test_a_stack_with_half_a_character(shop, text):
    (shop.root / "stacks/odd.yaml").write_text(text)
    code, answer = call("explain", "fuzzed_flow.py", "--stack", "odd")
    assert code == 2
    assert "half a character" in answer


@pytest.mark.parametrize("root", [r'"store\0x"', '"file:///tmp/a%00b"'])
def test_a_root_with_a_nul_character(shop, root):
    (shop.root / "stacks/odd.yaml").write_text(f"extends: local\nartifact_store: {{root: {root}}}\n")
    code, answer = call("artifacts", "load", "latest", "total", "--stack", "odd")
    assert code == 2
    assert "NUL character" in answer


VALUES = """
from typing import Any
from turnout import pipeline, step

class Bad:
    def __repr__(self):
        raise RuntimeError("no repr \\x1b[31m")

class Acts:
    def __repr__(self):
        return "acts \\x1b]0;x\\x07"

@step
def made(kind: str) -> Any:
    loop = []
    loop.append(loop)
    return {"huge": 10**6000, "bad": [Bad()], "acts": Acts(), "loop": loop}[kind]

@pipeline
def odd(kind: str = "huge"):
    made(kind)
"""


UNSHOWN = {
    "huge": (2, "a value of type int cannot be printed\n  why: ValueError"),
    "bad": (2, "a value of type list cannot be printed\n  why: RuntimeError: no repr \\x1b[31m"),
    "acts": (0, "acts \\x1b]0;x\\x07"),
    "loop": (0, "[[...]]"),
}


def test_a_value_that_cannot_be_shown_is_an_error(shop):
    (shop.root / "odd_values.py").write_text(VALUES)
    for kind, (code, text) in UNSHOWN.items():
        assert call("run", "odd_values.py", "-p", f"kind={kind}")[0] == 0
        answer = call("artifacts", "load", "latest", "made")
        assert (answer[0], text in answer[1]) == (code, True), answer[1]
        as_json = call("artifacts", "load", "latest", "made", "--json")[1]
        assert kind == "huge" or "cannot be printed as JSON" in as_json


def test_a_value_of_a_class_of_the_project_is_shown(tmp_path):
    """By the command alone, whose interpreter does not look into the project's folder for itself."""
    import subprocess
    import sys

    made = Shop(tmp_path / "shop")
    (made.root / "odd_values.py").write_text(VALUES)
    command = str(Path(sys.executable).with_name("turnout"))
    for arguments in (["run", "odd_values.py", "-p", "kind=acts"], ["artifacts", "load", "latest", "made"]):
        answer = subprocess.run([command, *arguments], cwd=made.root, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr
    assert answer.stdout == "acts \\x1b]0;x\\x07\n"
