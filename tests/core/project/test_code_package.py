"""The code package: which files travel, the same bytes everywhere, safe to unpack."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from projects import git, write

from turnout.base import canonical
from turnout.base.errors import ArtifactError, PlanError
from turnout.project import code, sources, unpacking
from turnout.project.git import Revision
from turnout.project.project import Project
from turnout.project.project import load as load_project


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A folder that no repository holds, as far as git.py looks: its parents have no .git."""
    root = tmp_path / "plain"
    root.mkdir()
    return root


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q")
    return root


def paths(root: Path, **settings: tuple[str, ...]) -> list[str]:
    return [file.path for file in sources.collect(project(root, **settings)).files]


def project(root: Path, **settings: tuple[str, ...]) -> Project:
    if settings:
        lines = [f"{name} = {list(value)!r}" for name, value in settings.items()]
        (root / "pyproject.toml").write_text("[tool.turnout.code]\n" + "\n".join(lines), encoding="utf-8")
    load_project.cache_clear()
    return load_project(root)


def test_without_git_everything_but_hidden_folders_caches_and_environments(plain: Path) -> None:
    write(
        plain,
        {
            "flow.py": "",
            "pkg/a.py": "",
            ".hidden/x": "",
            ".flake8": "",
            "__pycache__/a.pyc": "",
            "venv/pyvenv.cfg": "",
            "venv/lib/x.py": "",
            "node_modules/x.js": "",
            ".turnout/store/x": "",
        },
    )
    assert paths(plain) == [".flake8", "flow.py", "pkg/a.py"]
    assert code.build(project(plain)).revision is None


def test_git_view_is_tracked_and_untracked_but_not_ignored(repository: Path) -> None:
    write(repository, {"a.py": "", "gone.py": "", ".gitignore": "*.csv\n", "x.csv": "", "kept.csv": ""})
    git(repository, "add", "a.py", ".gitignore", "gone.py")
    git(repository, "add", "-f", "kept.csv")
    git(repository, "commit", "-qm", "first")
    (repository / "gone.py").unlink()
    write(repository, {"new.py": ""})
    package = code.build(project(repository))
    assert package.files == (".gitignore", "a.py", "kept.csv", "new.py")
    assert package.untracked == ("new.py",)


def test_revision_is_dirty_for_a_change_and_for_an_untracked_file(repository: Path) -> None:
    write(repository, {"a.py": "1"})
    assert code.build(project(repository)).revision is None, "there is no commit yet"
    git(repository, "add", "a.py")
    git(repository, "commit", "-qm", "first")
    clean = code.build(project(repository)).revision
    assert clean is not None
    assert len(clean.commit) == 40
    assert not clean.dirty
    write(repository, {"b.py": ""})
    assert code.build(project(repository)).revision == Revision(clean.commit, True)
    (repository / "b.py").unlink()
    write(repository, {"a.py": "2"})
    assert code.build(project(repository)).revision == Revision(clean.commit, True)


def test_a_project_inside_a_repository_sees_its_own_files_only(repository: Path) -> None:
    write(
        repository, {"other.py": "", "inner/a.py": "", "inner/pkg/b.py": "", ".gitignore": "c.py\n", "inner/c.py": ""}
    )
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "first")
    write(repository, {"other.py": "changed"})
    package = code.build(project(repository / "inner"))
    assert package.files == ("a.py", "pkg/b.py")
    assert package.revision is not None
    assert not package.revision.dirty


def test_a_project_its_repository_ignores_is_read_without_git(repository: Path) -> None:
    write(repository, {".gitignore": "scratch/\n", "scratch/flow.py": ""})
    package = code.build(project(repository / "scratch"))
    assert package.files == ("flow.py",)
    assert package.revision is None


def test_environment_of_a_git_hook_does_not_lead_astray(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(repository, {"a.py": ""})
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert paths(repository) == ["a.py"]


def test_secrets_and_state_never_travel(repository: Path) -> None:
    secret = {
        ".env": "",
        ".env.local": "",
        "keys/server.PEM": "",
        "id.key": "",
        ".turnout/x": "",
        ".turnout-values/x": "",
    }
    write(repository, {"a.py": "", **secret})
    git(repository, "add", "-f", ".")
    found = sources.collect(project(repository, include=(".env", "*.key", "keys/")))
    assert [file.path for file in found.files] == ["a.py", "pyproject.toml"]
    assert [note for note in found.notes if "secret" in note] == [
        ".env.local: left out, it may hold a secret",
        ".env: left out, it may hold a secret",
        "id.key: left out, it may hold a secret",
        "keys/server.PEM: left out, it may hold a secret",
    ]


def test_include_and_exclude_are_patterns_as_in_gitignore(repository: Path) -> None:
    write(
        repository,
        {
            ".gitignore": "*.sql\ndata/\n",
            "q/a.sql": "",
            "q/b.sql": "",
            "data/x": "",
            "docs/d.md": "",
            "deep/docs/d.md": "",
            "a.py": "",
        },
    )
    found = paths(repository, include=("*.sql",), exclude=("/docs/", "b.sql"))
    assert found == [".gitignore", "a.py", "deep/docs/d.md", "pyproject.toml", "q/a.sql"]


def test_virtual_environments_that_nobody_ignored_stay_out(repository: Path) -> None:
    write(repository, {"a.py": "", "env/pyvenv.cfg": "", "env/lib/x.py": "", "pkg/__pycache__/a.pyc": ""})
    found = sources.collect(project(repository))
    assert [file.path for file in found.files] == ["a.py"]
    assert found.notes == ("env: left out, a virtual environment",)


def test_names_with_line_feeds_quotes_and_other_scripts(repository: Path) -> None:
    names = ["a b.py", "line\nfeed.py", 'quo"te.py', "größe.py", "数据.py", "-dash.py"]
    write(repository, dict.fromkeys(names, ""))
    package = code.build(project(repository))
    assert list(package.files) == sorted(names)
    unpacking.extract(package.data, repository.parent / "out")
    assert sorted(path.name for path in (repository.parent / "out").iterdir()) == sorted(names)


def test_a_name_that_is_not_utf8_is_refused(plain: Path) -> None:
    try:
        (plain / os.fsdecode(b"\xff.py")).write_text("")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(PlanError, match="is not UTF-8"):
        sources.collect(project(plain))


def test_links_are_replaced_by_what_they_point_to_inside_and_left_out_outside(repository: Path) -> None:
    outside = repository.parent / "outside"
    outside.mkdir()
    write(outside, {"secret.txt": "outside"})
    write(repository, {"lib/a.py": "inside", ".env": "hidden"})
    for link, target in {
        "b.py": "lib/a.py",
        "copy": "lib",
        "leaves": "../outside",
        "file": "../outside/secret.txt",
        "broken": "nothing",
        "shell": ".env",
        "lib/loop": "../lib",
        "self": "self",
    }.items():
        (repository / link).symlink_to(target)
    package = code.build(project(repository))
    assert package.files == ("b.py", "copy/a.py", "lib/a.py")
    assert b"outside" not in package.data
    assert b"hidden" not in package.data
    assert [note.split(":")[0] for note in package.notes] == [
        ".env",
        "broken",
        "file",
        "leaves",
        "lib/loop",
        "self",
        "shell",
    ]


def test_a_tracked_folder_replaced_by_a_link_does_not_reach_outside(repository: Path) -> None:
    write(repository, {"data/x.txt": "mine"})
    git(repository, "add", ".")
    outside = repository.parent / "outside"
    write(outside, {"x.txt": "outside"})
    shutil.rmtree(repository / "data")
    (repository / "data").symlink_to(outside)
    assert code.build(project(repository)).files == ()


def test_submodules_travel_when_checked_out(repository: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    write(inner, {"lib.py": "", "sub/x.py": ""})
    git(inner, "add", ".")
    git(inner, "commit", "-qm", "first")
    write(repository, {"a.py": ""})
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "vendored")
    assert paths(repository) == [".gitmodules", "a.py", "vendored/lib.py", "vendored/sub/x.py"]
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "first")
    git(repository, "submodule", "--quiet", "deinit", "-f", "vendored")
    found = sources.collect(project(repository))
    assert [file.path for file in found.files] == [".gitmodules", "a.py"]
    assert found.notes == ("vendored: left out, a submodule that is not checked out",)


def test_a_large_file_is_named_with_the_way_out(repository: Path) -> None:
    write(repository, {"a.py": "", "pyproject.toml": ""})
    with (repository / "big.bin").open("wb") as stream:
        stream.truncate(30_000_000)
    with pytest.raises(PlanError) as caught:
        code.build(project(repository))
    assert str(caught.value) == (
        "pyproject.toml: the code package would hold files of more than 20 MB: big.bin (30 MB)\n"
        "  why: the project's own files travel to every worker; data belongs in parameters of type File\n"
        '  fix: let git ignore them, or add them to [tool.turnout.code] exclude: ["/big.bin"]'
    )
    assert "big.bin" not in paths(repository, exclude=("/big.bin",))


def test_too_much_together_lists_the_largest(plain: Path) -> None:
    for number in range(6):
        with (plain / f"{number}.bin").open("wb") as stream:
            stream.truncate(19_000_000 + number)
    with pytest.raises(PlanError) as caught:
        code.build(project(plain))
    assert caught.value.what == (
        "the code package would have 114 MB, 100 MB are allowed; "
        "largest: 5.bin (19 MB), 4.bin (19 MB), 3.bin (19 MB), 2.bin (19 MB), 1.bin (19 MB)"
    )


def test_a_folder_that_is_no_project_is_given_up_early(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "COUNT_LIMIT", 3)
    write(plain, {f"{number}.py": "" for number in range(5)})
    with pytest.raises(PlanError, match="more than 3 files"):
        code.build(project(plain))


def test_same_content_same_bytes_whatever_time_place_and_order(tmp_path: Path) -> None:
    files = {"b.py": "b = 1\n", "a/run.sh": "#!/bin/sh\n", "a.py": "", "ö.py": "x"}
    packages = []
    for number, order in enumerate([files, dict(reversed(files.items()))]):
        root = tmp_path / f"copy{number}"
        write(root, order)
        (root / "a/run.sh").chmod(0o775 if number else 0o700)
        (root / "b.py").chmod(0o600 if number else 0o664)
        os.utime(root / "b.py", (number, number))
        packages.append(code.build(project(root)))
    assert packages[0].data == packages[1].data
    assert packages[0].digest == canonical.digest(packages[0].data)
    (tmp_path / "copy1/b.py").write_text("b = 2\n")
    assert code.build(project(tmp_path / "copy1")).digest != packages[0].digest


def test_permission_to_run_counts_and_survives(plain: Path) -> None:
    write(plain, {"run.sh": "#!/bin/sh\n", "a.py": ""})
    (plain / "run.sh").chmod(0o644)
    before = code.build(project(plain)).digest
    (plain / "run.sh").chmod(0o755)
    package = code.build(project(plain))
    assert package.digest != before
    folder = unpacking.ensure(package.digest, lambda: package.data, plain.parent / "cache")
    assert (folder / "run.sh").stat().st_mode & 0o777 == 0o555
    assert (folder / "a.py").stat().st_mode & 0o777 == 0o444


def test_bytes_do_not_depend_on_the_hash_seed(plain: Path) -> None:
    write(plain, {f"m{number}.py": str(number) for number in range(20)})
    script = (
        "import sys; from pathlib import Path; from turnout.project import code, project;"
        "print(code.build(project.load(Path(sys.argv[1]))).digest)"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script, str(plain)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "7")
    }
    assert digests == {code.build(project(plain)).digest + "\n"}


def test_functions_by_value_travel_under_their_digest(plain: Path) -> None:
    write(plain, {"a.py": ""})
    digest = canonical.digest(b"pickle")
    package = code.build(project(plain), {digest: b"pickle"})
    folder = unpacking.ensure(package.digest, lambda: package.data, plain.parent / "cache")
    assert (folder / unpacking.value_path(digest)).read_bytes() == b"pickle"
    assert package.digest != code.build(project(plain)).digest


def test_ensure_reads_once_and_leaves_no_temporary_folder(plain: Path) -> None:
    write(plain, {"pkg/a.py": "x = 1\n"})
    package = code.build(project(plain))
    cache = plain.parent / "cache"
    folder = unpacking.ensure(package.digest, lambda: package.data, cache)
    assert (folder / "pkg/a.py").read_text() == "x = 1\n"
    assert unpacking.ensure(package.digest, lambda: pytest.fail("read again"), cache) == folder
    unpacking.extract(package.data, folder)
    assert [entry.name for entry in cache.iterdir()] == [package.digest]


def test_ensure_at_once_gives_everyone_the_whole(plain: Path) -> None:
    write(plain, {f"m{number}.py": str(number) for number in range(50)})
    package = code.build(project(plain))
    cache = plain.parent / "cache"

    def count(_: int) -> int:
        return len(list(unpacking.ensure(package.digest, lambda: package.data, cache).iterdir()))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(count, range(16))) == {50}
    assert [entry.name for entry in cache.iterdir()] == [package.digest]


def test_ensure_refuses_other_bytes_and_other_digests(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="has the content of"):
        unpacking.ensure("0" * 64, lambda: b"something", tmp_path / "cache")
    with pytest.raises(ArtifactError, match="is not the digest"):
        unpacking.ensure("../../etc", lambda: b"", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def archive(entries: list[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for entry, data in entries:
            zipped.writestr(entry, data)
    return buffer.getvalue()


def info(name: str, mode: int = 0o100644, compress: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    entry.compress_type = compress
    return entry


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (info("/etc/x"), "its path would leave the folder"),
        (info("../x"), "its path would leave the folder"),
        (info("a/../../x"), "its path would leave the folder"),
        (info("a//x"), "its path would leave the folder"),
        (info("./x"), "its path would leave the folder"),
        (info("link", 0o120777), "it is not a regular file"),
        (info("device", 0o020644), "it is not a regular file"),
        (info("bomb", compress=zipfile.ZIP_DEFLATED), "it is compressed"),
    ],
)
def test_harmful_archives_are_refused_whole(tmp_path: Path, entry: zipfile.ZipInfo, reason: str) -> None:
    data = archive([(info("good.py"), b""), (entry, b"x")])
    with pytest.raises(ArtifactError, match=reason):
        unpacking.extract(data, tmp_path / "cache/out")
    assert list((tmp_path / "cache").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


@pytest.mark.parametrize("data", [b"", b"PK", b"no archive at all", archive([(info("a"), b"x"), (info("a/b"), b"x")])])
def test_damaged_archives_are_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ArtifactError, match="cannot be unpacked"):
        unpacking.extract(data, tmp_path / "cache/out")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_entry_twice_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = archive([(info("a"), b"x"), (info("a"), b"y")])
    with pytest.raises(ArtifactError, match="it is there twice"):
        unpacking.extract(data, tmp_path / "out")


def test_a_changed_content_inside_is_found(plain: Path) -> None:
    write(plain, {"a.py": "value = 1"})
    package = code.build(project(plain))
    with pytest.raises(ArtifactError, match="cannot be unpacked: Bad CRC-32"):
        unpacking.extract(package.data.replace(b"value = 1", b"value = 2"), plain.parent / "cache/out")
