"""The store on a disk: the suite, and what only a disk can do wrong."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from turnout.base.errors import ArtifactError, ConfigError
from turnout.stores.local import LocalStore
from turnout.testing.artifact_store import ArtifactStoreSuite


class TestLocalStore(ArtifactStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        return LocalStore.from_url(str(tmp_path / "store"))


class TestDurableStore(ArtifactStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        return LocalStore.from_url((tmp_path / "a store").as_uri(), durable=True)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore.from_url(str(tmp_path / "store"))


def said(error: pytest.ExceptionInfo[ArtifactError], folder: Path) -> str:
    return str(error.value).replace(str(folder), "<folder>")


def failing(monkeypatch: pytest.MonkeyPatch, function: str, number: int) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number), "somewhere")

    monkeypatch.setattr(os, function, fail)


def test_making_a_store_touches_nothing(store: LocalStore, tmp_path: Path) -> None:
    assert list(tmp_path.iterdir()) == []
    assert store.read("a") is None
    assert list(store.list("")) == []
    assert store.children("a") == []
    assert store.clean_staging() == 0
    store.flush()
    store.delete("a")
    assert list(tmp_path.iterdir()) == []


def test_the_environment_is_the_absolute_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert LocalStore.from_url(".turnout/store").environment() == {"TURNOUT_STORE": str(tmp_path / ".turnout/store")}
    assert LocalStore.from_url("file:///data/my%20store").environment() == {"TURNOUT_STORE": "/data/my store"}
    durable = LocalStore.from_url("/data", durable=True).environment()["TURNOUT_STORE"]
    assert json.loads(durable) == {"type": "local", "root": "/data", "durable": True}


@pytest.mark.parametrize("root", ["file://server/data", "file:data", "file:///data?x=1"])
def test_a_file_url_is_of_this_machine(root: str) -> None:
    with pytest.raises(ConfigError, match="is not a file URL of this machine"):
        LocalStore.from_url(root)


def test_a_staged_file_is_moved_and_any_other_copied(store: LocalStore, tmp_path: Path) -> None:
    staged = store.staging() / "staged"
    staged.write_bytes(b"staged")
    inode = staged.stat().st_ino
    assert store.create_from("artifacts/staged", staged)
    assert not staged.exists()
    found = store.local_path("artifacts/staged")
    assert found is not None
    assert found.stat().st_ino == inode
    assert found.stat().st_mode & 0o777 == 0o444
    other = tmp_path / "other"
    other.write_bytes(b"other")
    assert store.create_from("artifacts/other", other)
    assert other.exists()
    assert other.stat().st_nlink == 1


def test_a_staged_file_with_another_name_is_copied(store: LocalStore, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    os.link(mine, store.staging() / "linked")
    (store.staging() / "pointed").symlink_to(mine)
    assert store.create_from("artifacts/linked", store.staging() / "linked")
    assert store.create_from("artifacts/pointed", store.staging() / "pointed")
    mine.write_bytes(b"changed")
    assert store.read("artifacts/linked") == b"mine"
    assert store.read("artifacts/pointed") == b"mine"


def test_nothing_is_left_in_staging(store: LocalStore) -> None:
    store.create("a/b", b"x")
    store.create("a/b", b"x")
    assert list(store.staging().iterdir()) == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_around_the_link_leaves_nothing_or_the_whole(store: LocalStore, moment: str) -> None:
    code = f"""
import os, signal
from turnout.stores.local import LocalStore
link = os.link
def kill(*args):
    if {moment == "after"}:
        link(*args)
    os.kill(os.getpid(), signal.SIGKILL)
os.link = kill
LocalStore.from_url({store.address!r}).create("a/b", b"whole")
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert store.read("a/b") == (b"whole" if moment == "after" else None)
    assert len(list(store.staging().iterdir())) == 1
    assert store.clean_staging() == 0, "it may still be in use"
    assert store.clean_staging(age=-1) == 1
    assert list(store.staging().iterdir()) == []
    assert store.create("a/b", b"whole") is (moment == "before")


def test_the_end_of_a_run_cleans_staging_of_what_is_old(store: LocalStore) -> None:
    old, new = store.staging() / "old", store.staging() / "new"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    store.flush()
    assert [path.name for path in store.staging().iterdir()] == ["new"]


def test_staging_is_cleaned_of_what_is_old(store: LocalStore) -> None:
    old, new = store.staging() / "old", store.staging() / "new"
    for folder in (old, new):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "data").write_bytes(b"x")
    past = time.time() - 100_000
    for path in (old / "deep" / "data", old / "deep", old, new / "deep", new):
        os.utime(path, (past, past))
    assert store.clean_staging() == 1
    assert [path.name for path in store.staging().iterdir()] == ["new"]


def test_an_answer_that_was_lost_is_found(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system may make the link, lose the answer and answer the second request: it exists."""
    link = os.link

    def twice(source: str, target: str) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)
    assert store.create("a/b", b"mine") is True
    assert store.create("a/b", b"other") is False


def test_a_store_that_has_gone_away_is_not_taken_for_an_empty_one(store: LocalStore, tmp_path: Path) -> None:
    store.create("a/b", b"x")
    staged = store.staging() / "staged"
    staged.write_bytes(b"x")
    away = Path(store.address).rename(tmp_path / "away")
    calls: list[Callable[[], object]] = [
        lambda: store.read("a/b"),
        lambda: store.exists("a/b"),
        lambda: list(store.list("a")),
        lambda: store.create("a/c", b"y"),
        lambda: store.create_from("a/c", tmp_path / "away" / ".staging" / "staged"),
    ]
    for call in calls:
        with pytest.raises(ArtifactError, match="the folder has gone away"):
            call()
    assert not Path(store.address).exists()
    away.rename(store.address)
    assert store.read("a/b") == b"x"
    assert store.create("a/c", b"y")


def test_a_store_that_goes_away_between_writing_and_naming_is_not_made_anew(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("a/b", b"x")
    link = os.link

    def late(*args: str) -> None:
        monkeypatch.undo()
        Path(store.address).rename(tmp_path / "away")
        link(*args)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(ArtifactError, match="the folder has gone away"):
        store.create("c/d", b"y")
    assert not Path(store.address).exists()


def test_nothing_is_made_where_the_disk_of_a_store_is_not_mounted_any_more(store: LocalStore, tmp_path: Path) -> None:
    store.create("a/b", b"x")
    root = Path(store.address)
    root.rename(tmp_path / "away")
    root.mkdir()
    for key in ("a/c", "c/d", "c/d/e"):
        with pytest.raises(ArtifactError, match="the folder has gone away"):
            store.create(key, b"y")
    assert not list(root.iterdir())


def test_folders_on_the_way_are_made_before_the_object_is_named(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create("runs/a/record", b"x")
    link, named = os.link, []
    monkeypatch.setattr(os, "link", lambda source, target: (named.append(target), link(source, target)))
    for key in ("runs/b/steps/fit/attempts/1", "runs/b/steps/fit/record"):
        assert store.create(key, b"y")
        assert store.read(key) == b"y"
    assert len(named) == 2


@pytest.mark.parametrize(
    ("module", "function", "call"),
    [
        (os.path, "isdir", lambda store: store.children("a")),
        (os.path, "isdir", lambda store: store.staging()),
        (os, "open", lambda store: store.create("a/c", b"y")),
    ],
    ids=["listing", "staging", "writing"],
)
def test_a_store_that_another_thread_makes_meanwhile_has_not_gone_away(
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    function: str,
    call: Callable[[LocalStore], object],
) -> None:
    genuine = getattr(module, function)

    def late(*args: object) -> object:
        """Look, and let another thread make the store before the answer is there."""
        monkeypatch.undo()
        try:
            return genuine(*args)
        finally:
            other = threading.Thread(target=store.create, args=("a/b", b"x"))
            other.start()
            other.join()

    monkeypatch.setattr(module, function, late)
    call(store)
    assert store.read("a/b") == b"x"


def test_durable_writes_reach_the_disk_before_they_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable = LocalStore.from_url(str(tmp_path / "store"), durable=True)
    calls: list[str] = []
    link = os.link
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append(Path(f"/proc/self/fd/{fd}").readlink().name))
    monkeypatch.setattr(os, "link", lambda *args: (link(*args), calls.append("link")))
    durable.create("a/b", b"x")
    temporary = calls.pop(0)
    assert temporary.startswith(str(os.getpid()))
    assert calls == ["link", "a", "store"]
    calls.clear()
    LocalStore.from_url(str(tmp_path / "store")).create("a/c", b"x")
    assert calls == ["link"]


def test_a_symbolic_link_does_not_lead_out(store: LocalStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    root = Path(store.address)
    root.mkdir()
    (root / "folder").symlink_to(outside)
    (root / "object").symlink_to(outside / "secret")
    for call in (
        lambda: store.read("folder/secret"),
        lambda: store.create("folder/new", b"x"),
        lambda: store.delete("folder/secret"),
        lambda: store.exists("folder/secret"),
        lambda: list(store.list("folder")),
        lambda: store.children("folder"),
    ):
        with pytest.raises(ArtifactError, match="is reached by a symbolic link"):
            call()
    with pytest.raises(ArtifactError) as error:
        store.read("object")
    assert said(error, tmp_path) == (
        "cannot read object in the artifact store <folder>/store\n"
        "  why: it is a symbolic link, which the store does not follow\n"
        "  fix: remove the link"
    )
    with pytest.raises(ArtifactError, match="something that is not a file has that name"):
        store.create("object", b"x")
    assert list(store.list("")) == []
    assert store.children("") == []
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


def test_the_root_may_be_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    store = LocalStore.from_url(str(tmp_path / "link"))
    assert store.create("a/b", b"x")
    assert (tmp_path / "real/a/b").read_bytes() == b"x"


def test_a_file_in_the_way(store: LocalStore, tmp_path: Path) -> None:
    store.create("a", b"x")
    with pytest.raises(ArtifactError) as error:
        store.create("a/b", b"x")
    assert said(error, tmp_path) == (
        "cannot write a/b in the artifact store <folder>/store\n"
        "  why: a part of the path is a file, not a folder\n"
        "  fix: remove the file, or choose another root"
    )
    store.create("folder/b", b"x")
    with pytest.raises(ArtifactError) as error:
        store.create("folder", b"x")
    assert said(error, tmp_path) == (
        "cannot write folder to the artifact store <folder>/store\n"
        "  why: something that is not a file has that name already\n"
        "  fix: remove it, or choose another root"
    )


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = LocalStore.from_url(str(tmp_path / "file"))
    with pytest.raises(ArtifactError) as error:
        store.create("a/b", b"x")
    assert said(error, tmp_path) == (
        "cannot write a/b in the artifact store <folder>/file\n"
        "  why: a part of the path is a file, not a folder\n"
        "  fix: remove the file, or choose another root"
    )
    for call in (store.staging, lambda: list(store.list("")), lambda: store.children("")):
        with pytest.raises(ArtifactError, match="a part of the path is a file"):
            call()


def test_a_name_that_is_too_long(store: LocalStore) -> None:
    for call in (lambda: store.create(f"a/{'x' * 300}", b""), lambda: store.read(f"a/{'x' * 300}")):
        with pytest.raises(ArtifactError, match="the name is too long for the file system"):
            call()


def test_a_user_without_the_right_to_write(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = LocalStore.from_url(name)
        store.create("a/b", b"x")
        for path in (folder, folder / "a", folder / ".staging"):
            path.chmod(0o555)
        root = os.geteuid() == 0
        try:
            if root:
                os.seteuid(65534)
            with pytest.raises(ArtifactError) as error:
                LocalStore.from_url(name).create("a/c", b"x")
            assert LocalStore.from_url(name).read("a/b") == b"x"
        finally:
            if root:
                os.seteuid(0)
            for path in (folder, folder / "a", folder / ".staging"):
                path.chmod(0o755)
        assert said(error, folder) == (
            "cannot write a/c in the artifact store <folder>\n"
            "  why: permission denied\n"
            "  fix: give this user the right to read and write below the root"
        )


@pytest.mark.parametrize(
    ("function", "number", "expected"),
    [
        ("open", errno.EROFS, "the file system is read-only"),
        ("write", errno.ENOSPC, "the disk is full"),
        ("write", errno.EDQUOT, "the disk quota is used up"),
        ("link", errno.EPERM, "the file system has no hard links"),
        ("link", errno.ENOTSUP, "the file system has no hard links"),
        ("link", errno.EXDEV, "its folder lies on another file system than the root"),
        ("link", errno.EIO, "Input/output error"),
    ],
)
def test_a_file_system_that_refuses(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, function: str, number: int, expected: str
) -> None:
    store.create("a/a", b"x")
    with monkeypatch.context() as patch:
        failing(patch, function, number)
        with pytest.raises(ArtifactError, match=rf"(?s)cannot write a/b .*{expected}"):
            store.create("a/b", b"x")
    assert list(store.staging().iterdir()) == []
    assert store.read("a/b") is None
    assert store.create("a/b", b"x")


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a file system that nobody may write to")
def test_a_file_system_that_nobody_may_write_to() -> None:
    with pytest.raises(ArtifactError, match="cannot write a/b in the artifact store /sys/kernel/store"):
        LocalStore.from_url("/sys/kernel/store").create("a/b", b"x")
