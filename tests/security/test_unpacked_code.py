"""What runs is the code that the plan names, whatever a step or anyone did to the folder it is unpacked in."""

from __future__ import annotations

import os
import py_compile
import shutil
import stat
from pathlib import Path

import pytest

from turnout.base.errors import ArtifactError
from turnout.project import unpacking

SOURCE = """
    import json, os
    from pathlib import Path
    import {module}_helper

    def look():
        return {module}_helper.VALUE

    def beside():
        Path(__file__).with_name("state.json").write_text("{{}}")
        return 1

    def over():
        Path({module}_helper.__file__).write_text("VALUE = 'changed'")
        return 1

    def within():
        Path("state.json").write_text("{{}}")
        return Path("state.json").read_text()
"""


@pytest.fixture
def project(bench):
    bench.write(SOURCE.format(module=bench.module))
    (bench.root / f"{bench.module}_helper.py").write_text("VALUE = 'packaged'\n")
    bench.make(bench.step("look"), bench.step("beside"), bench.step("over"), bench.step("within"))
    return bench


def folder_of(bench) -> Path:
    return bench.folder / "cache" / "code" / bench.plan.code.digest


def look(bench, run: str) -> str:
    done = bench.process("step", "--step", "look", run=run)
    assert done.returncode == 0, done.stderr
    return bench.value("look", run=run)


def writable(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)


def edit(folder: Path, helper: Path) -> None:
    helper.write_text("VALUE = 'changed'\n")


def same_size_and_time(folder: Path, helper: Path) -> None:
    status = helper.stat()
    helper.write_text("VALUE = 'poisoned'"[: status.st_size - 1].ljust(status.st_size - 1) + "\n")
    helper.write_bytes(b"VALUE = 'tampered'\n")
    os.utime(helper, ns=(status.st_atime_ns, status.st_mtime_ns))


def shadow(folder: Path, helper: Path) -> None:
    package = folder / helper.stem
    package.mkdir()
    (package / "__init__.py").write_text("VALUE = 'changed'\n")


def shadow_a_library(folder: Path, helper: Path) -> None:
    (folder / "json.py").write_text("raise SystemExit('changed')\n")


def link(folder: Path, helper: Path) -> None:
    other = folder.parent.parent / "other.py"
    other.write_text("VALUE = 'changed'\n")
    helper.unlink()
    helper.symlink_to(other)


def link_folder(folder: Path, helper: Path) -> None:
    other = folder.parent.parent / "elsewhere"
    shutil.copytree(folder, other)
    (other / helper.name).write_text("VALUE = 'changed'\n")
    shutil.rmtree(folder)
    folder.symlink_to(other)


def bytecode(folder: Path, helper: Path) -> None:
    source = folder.parent.parent / "evil.py"
    source.write_text("VALUE = 'changed'\n")
    status = helper.stat()
    target = folder / "__pycache__" / f"{helper.stem}.cpython-{os.sys.version_info[0]}{os.sys.version_info[1]}.pyc"
    target.parent.mkdir()
    py_compile.compile(str(source), cfile=str(target))
    data = bytearray(target.read_bytes())
    data[8:16] = int(status.st_mtime).to_bytes(4, "little") + status.st_size.to_bytes(4, "little")
    target.write_bytes(data)


def bytecode_without_source(folder: Path, helper: Path) -> None:
    bytecode(folder, helper)
    (folder / "__pycache__").rename(folder / "found")
    next((folder / "found").iterdir()).rename(folder / "json.pyc")


def remove(folder: Path, helper: Path) -> None:
    helper.unlink()


def replace_by_a_file(folder: Path, helper: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("VALUE = 'changed'\n")


def pipe(folder: Path, helper: Path) -> None:
    helper.unlink()
    os.mkfifo(helper)


EDITS = (
    edit, same_size_and_time, shadow, shadow_a_library, link, link_folder, bytecode, bytecode_without_source, remove,
    replace_by_a_file, pipe,
)  # fmt: skip


@pytest.mark.parametrize("change", EDITS, ids=lambda change: change.__name__)
def test_a_folder_that_was_changed_is_unpacked_anew(project, change):
    assert look(project, "first") == "packaged"
    folder = folder_of(project)
    writable(folder)
    change(folder, folder / f"{project.module}_helper.py")
    assert look(project, "second") == "packaged"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert stat.S_ISDIR(os.lstat(folder).st_mode)


def test_the_unpacked_code_is_read_only(project):
    look(project, "first")
    folder = folder_of(project)
    assert not any(path.stat().st_mode & 0o222 for path in [folder, *folder.rglob("*")])


@pytest.mark.parametrize("step", ["beside", "over"])
def test_the_next_run_after_a_step_that_writes_beside_its_module(project, step):
    done = project.process("step", "--step", step, run="first")
    assert done.returncode == 0 if os.geteuid() == 0 else "is read-only" in done.stderr
    assert look(project, "second") == "packaged"
    assert not (folder_of(project) / "state.json").exists()


def test_a_step_may_write_where_it_runs(project):
    assert project.call("within").exit_code == 0


def test_a_step_that_may_not_write_beside_its_module_is_told_where_to(project, monkeypatch):
    """As for a user that is not root: the system's own refusal."""
    opened = Path.write_text

    def refused(self, *args):
        if self.name == "state.json" and self.is_absolute():
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *args)

    monkeypatch.setattr(Path, "write_text", refused)
    message = project.call("beside").message
    assert "the code of a run is read-only" in message
    assert "write to the folder that the step runs in" in message


def test_a_changed_folder_that_cannot_be_removed_is_refused(project, monkeypatch):
    look(project, "first")
    folder = folder_of(project)
    writable(folder)
    edit(folder, folder / f"{project.module}_helper.py")

    def no(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", no)
    with pytest.raises(ArtifactError, match=r"was changed after it was unpacked, and cannot be removed"):
        unpacking.ensure(folder.name, lambda: b"", folder.parent)


def test_what_is_checked_is_read_once_and_not_fetched(project):
    look(project, "first")
    folder = folder_of(project)
    assert unpacking.ensure(folder.name, lambda: pytest.fail("fetched"), folder.parent) == folder


def test_bytecode_is_kept_apart_and_believed_only_as_it_was_written(project):
    def again(run):
        done = project.process("step", "--step", "look", run=run, PYTHONDONTWRITEBYTECODE=None)
        assert done.returncode == 0, done.stderr
        return project.value("look", run=run)

    assert again("first") == "packaged"
    assert not [path for path in folder_of(project).rglob("*") if path.suffix == ".pyc"]
    files = sorted((project.folder / "cache" / "bytecode" / project.plan.code.digest).rglob("*.pyc"))
    assert [path.name.partition(".")[0] for path in files] == [project.module, f"{project.module}_helper"]
    helper = files[1]
    written = helper.read_bytes()
    assert b"packaged" in written
    helper.write_bytes(written.replace(b"packaged", b"poisoned"))
    assert again("second") == "packaged"
    assert helper.read_bytes() == written
    helper.write_bytes(files[0].read_bytes())
    assert again("third") == "packaged"
    for junk in (b"", b"x", written[:40]):
        helper.write_bytes(junk)
        assert again(f"junk {len(junk)}") == "packaged"
