"""The suite an artifact store must pass: the built-in ones do, and a plugin's store is refused trust without it.

A plugin's test file is one class::

    class TestMyStore(ArtifactStoreSuite):
        @pytest.fixture
        def store(self, tmp_path):
            return MyStore.from_url(f"my://{tmp_path}")
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from turnout.base.errors import ArtifactError
from turnout.components.artifact_store import ArtifactStore
from turnout.testing.suite import Suite

_ODD_NAMES = (
    "a b",
    "%41",
    "#?&+=;:@!$(),",
    "~*",
    "{}[]^`|<>'\"",
    "é",
    "日本",
    "-",
    "name.with.dots",
    "x" * 200,
)
_BAD_KEYS = ("", "/a", "a/", "a//b", "../a", "a/../b", "a/.", ".staging/a", "a\nb", "a\x00b", "a\udcffb")
_START = """
import json, sys
import msgspec
from importlib import import_module
from turnout.testing import artifact_store
module, qualname, config, role, arguments = json.loads(sys.argv[1])
store_class = import_module(module)
for part in qualname.split("."):
    store_class = getattr(store_class, part)
store = store_class(msgspec.convert(config, store_class.Config))
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(getattr(artifact_store, role)(store, *arguments)), flush=True)
"""


class ArtifactStoreSuite(Suite):
    """Subclass it, name the subclass ``Test…`` and give the fixture ``store``: an empty store."""

    @pytest.fixture
    def store(self) -> ArtifactStore[Any]:
        """An empty store that other processes can open by its class and config."""
        raise NotImplementedError("give the suite a fixture 'store'")

    def open_again(self, store: ArtifactStore[Any]) -> ArtifactStore[Any]:
        """Another instance of the same store."""
        return type(store)(store.config)

    def test_what_is_created_is_read(self, store: ArtifactStore[Any]) -> None:
        assert store.read("demo/run.json") is None
        assert not store.exists("demo/run.json")
        assert store.create("demo/run.json", b"{}") is True
        assert store.read("demo/run.json") == b"{}"
        assert store.exists("demo/run.json")
        assert self.open_again(store).read("demo/run.json") == b"{}"

    def test_a_key_is_taken_once(self, store: ArtifactStore[Any]) -> None:
        assert store.create("demo/record.json", b"first")
        assert store.create("demo/record.json", b"second") is False
        assert self.open_again(store).create("demo/record.json", b"first") is False
        assert store.read("demo/record.json") == b"first"

    def test_an_object_may_be_empty(self, store: ArtifactStore[Any], tmp_path: Path) -> None:
        assert store.create("demo/empty", b"")
        assert store.create("demo/empty", b"x") is False
        assert store.read("demo/empty") == b""
        assert store.exists("demo/empty")
        assert store.fetch("demo/empty", tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == b""

    def test_a_folder_is_no_object(self, store: ArtifactStore[Any], tmp_path: Path) -> None:
        store.create("demo/folder/object", b"x")
        assert store.read("demo/folder") is None
        assert not store.exists("demo/folder")
        assert store.fetch("demo/folder", tmp_path / "copy") is False
        assert store.read("demo/folder/object/below") is None
        assert not store.exists("demo/folder/object/below")
        store.delete("demo/folder")
        assert store.read("demo/folder/object") == b"x"

    def test_what_is_deleted_is_gone_and_may_be_created_again(self, store: ArtifactStore[Any]) -> None:
        store.create("demo/a/b", b"1")
        store.create("demo/a/c", b"2")
        store.delete("demo/a/b")
        store.delete("demo/a/b")
        assert store.read("demo/a/b") is None
        assert store.children("demo/a") == ["c"]
        store.delete("demo/a/c")
        assert list(store.list("demo")) == []
        assert store.children("demo") == []
        assert store.create("demo/a/b", b"3")
        assert store.read("demo/a/b") == b"3"

    def test_a_listing_has_all_below_a_folder_in_order_of_keys(self, store: ArtifactStore[Any]) -> None:
        keys = ["p/a/1", "p/a-b", "p/a.json", "p/a0/x", "p/b/c/d", "pq/no", "p/Z", "p/é/1"]
        for number, key in enumerate(keys):
            store.create(key, b"x" * number)
        before, found = time.time(), list(store.list("p"))
        assert [entry.key for entry in found] == sorted(key for key in keys if key.startswith("p/"))
        assert {entry.key: entry.size for entry in found} == {
            key: number for number, key in enumerate(keys) if key.startswith("p/")
        }
        assert all(abs(entry.modified - before) < 3600 for entry in found)
        assert [entry.key for entry in store.list("")] == sorted(keys)
        assert list(store.list("none")) == []
        assert list(store.list("p/a.json")) == []

    def test_children_are_the_names_directly_below(self, store: ArtifactStore[Any]) -> None:
        for key in ("p/b/c/d", "p/b/e", "p/a.json", "p/a/x", "pq/no"):
            store.create(key, b"")
        assert list(store.children("p")) == ["a", "a.json", "b"]
        assert list(store.children("p/b")) == ["c", "e"]
        assert list(store.children("")) == ["p", "pq"]
        assert list(store.children("none")) == []
        assert list(store.children("p/a.json")) == []

    def test_many_objects_are_listed(self, store: ArtifactStore[Any]) -> None:
        """More than the thousand that an S3 server gives in one answer."""
        numbers = range(1050)
        for number in numbers:
            store.create(f"many/{number:04}", b"")
        assert [entry.key for entry in store.list("many")] == [f"many/{number:04}" for number in numbers]
        assert len(store.children("many")) == len(numbers)

    @pytest.mark.parametrize("name", _ODD_NAMES)
    def test_odd_names_hold(self, store: ArtifactStore[Any], tmp_path: Path, name: str) -> None:
        key = f"odd/{name}/{name}"
        assert store.create(key, b"odd")
        assert store.read(key) == b"odd"
        assert store.exists(key)
        assert [entry.key for entry in store.list("odd")] == [key]
        assert list(store.children(f"odd/{name}")) == [name]
        assert store.fetch(key, tmp_path / "copy")
        store.delete(key)
        assert not store.exists(key)

    @pytest.mark.parametrize("key", _BAD_KEYS)
    def test_bad_keys_are_refused(self, store: ArtifactStore[Any], tmp_path: Path, key: str) -> None:
        source = tmp_path / "source"
        source.write_bytes(b"x")
        calls = (
            lambda: store.read(key),
            lambda: store.create(key, b"x"),
            lambda: store.create_from(key, source),
            lambda: store.fetch(key, tmp_path / "copy"),
            lambda: store.exists(key),
            lambda: store.delete(key),
            lambda: store.local_path(key),
        )
        for call in calls[: None if store.local_path("none") or store.staging() else -1]:
            with pytest.raises(ArtifactError, match="cannot be used"):
                call()
        if key:
            with pytest.raises(ArtifactError, match="cannot be used"):
                list(store.list(key))
            with pytest.raises(ArtifactError, match="cannot be used"):
                store.children(key)
        assert list(store.list("")) == []

    def test_a_file_is_created_and_fetched(self, store: ArtifactStore[Any], tmp_path: Path) -> None:
        source, other, copy = tmp_path / "source", tmp_path / "other", tmp_path / "copy"
        source.write_bytes(b"content")
        other.write_bytes(b"other")
        assert store.create_from("artifacts/a/files/data", source)
        assert store.create_from("artifacts/a/files/data", other) is False
        assert store.read("artifacts/a/files/data") == b"content"
        assert store.fetch("artifacts/a/files/data", copy)
        copy.write_bytes(b"changed")  # the copy is the caller's own
        if source.exists():
            source.write_bytes(b"changed")  # and so is the source, if it stays
        assert store.read("artifacts/a/files/data") == b"content"
        assert store.fetch("artifacts/a/files/none", tmp_path / "none") is False
        assert not (tmp_path / "none").exists()

    def test_a_missing_file_is_an_error(self, store: ArtifactStore[Any], tmp_path: Path) -> None:
        with pytest.raises(ArtifactError, match="cannot write artifacts/a"):
            store.create_from("artifacts/a", tmp_path / "none")
        store.create("artifacts/b", b"x")
        with pytest.raises(ArtifactError, match="cannot copy"):
            store.fetch("artifacts/b", tmp_path / "no folder" / "copy")

    def test_a_staged_file_is_created(self, store: ArtifactStore[Any]) -> None:
        staging = store.staging()
        if staging is None:
            pytest.skip("this store has no staging folder")
        folder = staging / "work"
        folder.mkdir()
        (folder / "data").write_bytes(b"content")
        (folder / "again").write_bytes(b"again")
        assert list(store.list("")) == []
        assert store.children("") == []
        assert store.create_from("artifacts/a", folder / "data")
        assert store.create_from("artifacts/a", folder / "again") is False
        assert store.read("artifacts/a") == b"content"

    def test_a_big_object(self, store: ArtifactStore[Any], tmp_path: Path) -> None:
        """Large enough for a cloud store to send it in parts."""
        block = os.urandom(1 << 20)
        source, copy = tmp_path / "source", tmp_path / "copy"
        with source.open("wb") as stream:
            for _ in range(40):
                stream.write(block)
        assert store.create_from("artifacts/big", source)
        assert store.fetch("artifacts/big", copy)
        assert copy.stat().st_size == 40 << 20
        assert copy.read_bytes() == block * 40
        assert [entry.size for entry in store.list("artifacts")] == [40 << 20]
        (tmp_path / "other").write_bytes(block * 20)
        assert store.create_from("artifacts/big", tmp_path / "other") is False
        assert store.create("artifacts/bytes", block * 20)
        assert store.read("artifacts/bytes") == block * 20

    def test_a_local_path_may_be_read_but_not_written(self, store: ArtifactStore[Any]) -> None:
        store.create("artifacts/a", b"content")
        path = store.local_path("artifacts/a")
        if path is None:
            pytest.skip("this store is not local")
        assert path.read_bytes() == b"content"
        assert path.stat().st_mode & 0o222 == 0
        assert store.local_path("artifacts/none") is None
        assert store.local_path("artifacts") is None

    def test_the_environment_leads_to_the_same_store(self, store: ArtifactStore[Any]) -> None:
        from turnout.stores.address import from_environment

        variables = store.environment()
        assert all(isinstance(value, str) for value in variables.values())
        other = from_environment({**os.environ, **variables}, others=lambda _: type(store))
        assert store.create("demo/run.json", b"{}")
        assert other.read("demo/run.json") == b"{}"
        assert other.address == store.address

    def test_one_of_many_racing_processes_wins(self, store: ArtifactStore[Any]) -> None:
        """Four processes create the same keys at the same time and read each at once."""
        writers, count = 4, 25
        results = _together(store, [("race", [number, count]) for number in range(writers)])
        assert [result["torn"] for result in results] == [[]] * writers
        for number in range(count):
            winners = [writer for writer, result in enumerate(results) if number in result["won"]]
            assert len(winners) == 1, f"key {number} was created by {winners}"
            assert store.read(f"race/{number}") == _content(winners[0])

    def test_readers_see_nothing_or_the_whole(self, store: ArtifactStore[Any]) -> None:
        count = 12
        results = _together(store, [("write_files", [count]), ("watch", [count]), ("watch", [count])])
        assert results == [[], [], []], "a reader saw a part of an object"

    def test_creating_survives_a_neighbour_that_deletes(self, store: ArtifactStore[Any]) -> None:
        """Both work in the same folders, which may come and go."""
        results = _together(store, [("churn", [number, 40]) for number in range(3)])
        assert results == [[], [], []], "an object was lost"
        assert list(store.list("churn")) == []

    def test_a_killed_writer_leaves_no_part(self, store: ArtifactStore[Any]) -> None:
        for attempt, delay in enumerate((0.01, 0.03, 0.1)):
            process = _start(store, "write_on", [attempt])
            with _ended(process):
                _go(process)
                time.sleep(delay)
                process.send_signal(signal.SIGKILL)
                process.wait()
        for entry in list(store.list("killed")):
            assert entry.size == len(_content(0, 4 << 20))
            assert store.read(entry.key) == _content(0, 4 << 20)
        assert store.create("killed/after", b"x")


def _content(writer: int, size: int = 100_000) -> bytes:
    return bytes([65 + writer]) * size


def _is_torn(data: bytes | None) -> bool:
    return data is not None and (len(data) != 100_000 or len(set(data)) != 1)


def race(store: ArtifactStore[Any], writer: int, count: int) -> dict[str, list[int]]:
    """Create every key; report those won and those that were read in part."""
    won, torn = [], []
    for number in range(count):
        if store.create(f"race/{number}", _content(writer)):
            won.append(number)
        if _is_torn(store.read(f"race/{number}")):
            torn.append(number)
    return {"won": won, "torn": torn}


def write_files(store: ArtifactStore[Any], count: int) -> list[str]:
    """Create objects from files of some size."""
    import tempfile

    for number in range(count):
        with tempfile.TemporaryDirectory(dir=store.staging()) as folder:
            path = Path(folder) / "data"
            path.write_bytes(_content(1, 3 << 20))
            store.create_from(f"watched/{number}", path)
    return []


def watch(store: ArtifactStore[Any], count: int) -> list[str]:
    """Read objects as they appear until the last is there; report those read in part."""
    torn = []
    for number in range(count):
        limit = time.monotonic() + 60
        while (data := store.read(f"watched/{number}")) is None and time.monotonic() < limit:
            pass
        if data != _content(1, 3 << 20):
            torn.append(f"watched/{number}")
    return torn


def churn(store: ArtifactStore[Any], writer: int, count: int) -> list[str]:
    """Create and delete objects beside those of others; report those that were lost."""
    lost = []
    for number in range(count):
        key = f"churn/folder/{number % 2}/{writer}"
        if not store.create(key, b"x") or store.read(key) != b"x":
            lost.append(f"{key} ({number})")
        store.delete(key)
    return lost


def write_on(store: ArtifactStore[Any], attempt: int) -> None:
    """Create large objects until killed."""
    for number in range(10_000):
        store.create(f"killed/{attempt}/{number}", _content(0, 4 << 20))


def _start(store: ArtifactStore[Any], role: str, arguments: list[Any]) -> subprocess.Popen[str]:
    store_class = type(store)
    config = msgspec.to_builtins(store.config)
    document = json.dumps([store_class.__module__, store_class.__qualname__, config, role, arguments])
    process = subprocess.Popen(
        [sys.executable, "-c", _START, document],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        process.kill()
        process.communicate()
        raise AssertionError("a process could not open the store by its class and config; its error is above")
    return process


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        process.communicate()


def _together(store: ArtifactStore[Any], roles: list[tuple[str, list[Any]]]) -> list[Any]:
    """Run functions of this module in processes of their own, started at the same moment."""
    with contextlib.ExitStack() as stack:
        processes = []
        for role, arguments in roles:
            process = _start(store, role, arguments)
            stack.enter_context(_ended(process))
            processes.append(process)
        for process in processes:
            _go(process)
        answers = [process.communicate(timeout=120)[0] for process in processes]
        assert all(process.returncode == 0 for process in processes), "a process failed; its error is above"
        return [json.loads(answer) for answer in answers]
