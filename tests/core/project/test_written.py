"""What turnout writes into a project is never part of what it runs: stores, exports, observers' files, loaded values."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from projects import entered, git, write_project

from turnout.base.errors import ConfigError
from turnout.cli.app import application
from turnout.project import sources, written
from turnout.project.project import load as load_project
from turnout.stores import layout

DIGEST, RUN = "0123456789abcdef" * 4, "abcdefghij234567abcd"
PIPELINE = """\
from turnout import File, pipeline, step


@step
def one(path: File) -> str:
    return path.read_text()


@pipeline
def written_{name}(path: File = "data.csv"):
    one(path)
"""
STACKS = {
    "shared": "extends: local\nartifact_store: {root: shared-store}\nobservers: [{type: jsonl, path: events.jsonl}]\n",
    "own": "extends: local\norchestrator: {logs: logs}\n",
    "mixed": "extends: local\nartifact_store: {root: notes}\n",
    "specimen": "extends: local\norchestrator: {type: specimen, folder: .turnout/logs}\n",
    "elsewhere": "extends: specimen\nartifact_store: {root: .turnout/other}\n",
    "broken": "extends: nowhere\n",
}


class House:
    """A project, and the command in it."""

    def __init__(self, root: Path, tracked: bool) -> None:
        self.root, self.tracked = root, tracked

    def __call__(self, *words, code=0):
        for name in [name for name in sys.modules if name.startswith("house_")]:
            del sys.modules[name]
        load_project.cache_clear()
        done = CliRunner().invoke(application, words)
        assert done.exit_code == code, (done.output, done.exception)
        return done.stdout

    def document(self, *words, code=0):
        return json.loads(self(*words, "--json", code=code))

    def digest(self, name="a"):
        return self.document("explain", f"house_{name}.py")["code"]["digest"]

    def commit(self):
        if self.tracked:
            git(self.root, "add", "-A")
            git(self.root, "commit", "-q", "--allow-empty", "-m", "all of it")


@pytest.fixture(params=["git", "committed", "plain"])
def house(request, tmp_path):
    files = {f"house_{name}.py": PIPELINE.format(name=name) for name in ("a", "b")}
    files |= {f"stacks/{name}.yaml": text for name, text in STACKS.items()}
    root = write_project(tmp_path / "house", {"data.csv": "1,2", **files}, name="house")
    if request.param != "plain":
        git(root, "init", "-q")
    project = House(root, request.param == "committed")
    project.commit()
    with entered(root):
        yield project


def test_runs_exports_and_loaded_values_leave_the_code_as_it_was(house):
    before = house.digest()
    for _ in range(2):
        for stack in ("shared", "own", "mixed"):
            run = house.document("run", "house_a.py", "--stack", stack)["run"]
        house("export", "house_a.py", "--stack", "specimen", "-o", "dag")
        house("export", "house_a.py", "--stack", "specimen", "-o", "dag", "--check")
        house("artifacts", "load", run, "one", "--stack", "mixed", "--to", "out")
        house.commit()
        assert house.digest() == before
        house("export", "house_a.py", "--stack", "specimen", "-o", "dag", "--check")
        shutil.rmtree("out")
    house("artifacts", "load", run, "one", "--stack", "mixed", "--to", "out")
    left_out = house.document("explain", "house_a.py")["code"]["left_out"]
    assert [line.partition(",")[0] for line in left_out] == [
        "dag: written by turnout",
        "data.csv: the content of a parameter",
        "events.jsonl: an observer's file",
        "logs: files of runs",
        "notes: an artifact store",
        "out: written by turnout",
        "shared-store: an artifact store",
    ]
    assert "no code, and left out: shared-store: an artifact store" in house("explain", "house_a.py")


def test_what_else_is_in_these_folders_is_packed(house):
    house("run", "house_a.py", "--stack", "mixed")
    house("export", "house_a.py", "--stack", "specimen", "-o", "notes")
    own = ["notes/artifacts/mine.py", "notes/house/runs/notes.txt", "notes/readme.md", "notes/plans/x.json"]
    for path in own:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("of the user's own")
    house.commit()
    files = [file.path for file in sources.collect(load_project(house.root)).files]
    assert [path for path in files if path.startswith("notes/")] == sorted(own)


def test_a_store_of_no_stack_is_known_by_its_marker_and_an_older_one_by_its_stack(house):
    before = house.digest()
    house("run", "house_a.py", "--stack", "shared")
    shutil.copytree("shared-store", "copied")
    (house.root / "shared-store" / written.STORE).unlink()
    house.commit()
    assert house.digest() == before


def test_every_key_of_a_store_is_known_by_its_form():
    keys = [
        layout.manifest(DIGEST), layout.blob(DIGEST, "a/b"), layout.code(DIGEST), layout.code_origin(DIGEST),
        layout.plan(DIGEST), layout.run("p", RUN), layout.run_file("p", RUN, "x"), layout.mark("p", RUN, 0),
        layout.tracker("p", RUN, "id"), layout.record("p", RUN, "s", 1), layout.attempt("p", RUN, "s", None, "x"),
        layout.cache_entry("p", DIGEST, RUN, "s", None), layout.alias("p", "champion", 3), layout.export(DIGEST),
        f"{layout.promoted('p', RUN)}/run.json", layout.change("p", RUN, "x"), layout.claim(DIGEST, 1, "x"),
        layout.condemned(DIGEST), layout.removed("p", "x"),
    ]  # fmt: skip
    found = written.find(Path("/nowhere"), {f"data/{key}" for key in keys}, written.Places(frozenset(["data"])))
    assert found == {"data: an artifact store": {f"data/{key}" for key in keys}}


def test_a_loaded_folder_has_the_content_it_had(house, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("a")
    from turnout.artifacts.saving import path_artifact

    before = path_artifact(tmp_path / "folder", "folder").digest
    written.mark_all(tmp_path / "folder")
    assert path_artifact(tmp_path / "folder", "folder").digest == before


def test_one_folder_holds_the_exports_of_several_pipelines_and_stacks(house, tmp_path):
    folder = str(tmp_path / "exports")
    words = ("--stack", "specimen", "-o", folder)
    first = house.document("export", "house_a.py", *words)
    second = house.document("export", "house_b.py", *words)
    assert Path(second["folder"]) == Path(folder) / "house.written_b.specimen.default"  # steps.json is taken
    for _ in range(2):
        for name in ("a", "b"):
            house("export", f"house_{name}.py", *words, "--check")
    Path("data.csv").write_text("3")
    changed = house.document("export", "house_a.py", *words)
    assert f"plans/{first['plan']}.json" in changed["changed"]
    assert not (Path(folder) / "plans" / f"{first['plan']}.json").exists()
    assert (Path(second["folder"]) / "plans" / f"{second['plan']}.json").exists()
    for path in Path(folder).rglob("*"):  # what a worker needs is there, for each of them
        assert path.is_dir() or path.read_bytes()


def test_exports_of_projects_with_other_stores_do_not_replace_each_others(house, tmp_path):
    folder = tmp_path / "exports"
    house("export", "house_a.py", "--stack", "specimen", "-o", str(folder))
    (folder / "steps.json").unlink()
    environment = (folder / "environment.json").read_bytes()
    project = Path("pyproject.toml").read_text()
    Path("pyproject.toml").write_text(project.replace("'house'", "'other'"))
    other = house.document("export", "house_b.py", "--stack", "elsewhere", "-o", str(folder))
    assert (folder / "environment.json").read_bytes() == environment
    assert (Path(other["folder"]) / "environment.json").read_bytes() != environment
    house("export", "house_b.py", "--stack", "elsewhere", "-o", str(folder), "--check")


def test_an_export_replaces_nothing_that_no_export_wrote(house, tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "steps.json").write_text("of the user's own")
    (folder / "plans").mkdir()
    (folder / "plans" / f"{DIGEST}.json").write_text("of the user's own")
    done = CliRunner().invoke(application, ["export", "house_a.py", "--stack", "specimen", "-o", str(folder)])
    assert isinstance(done.exception, ConfigError)
    assert "steps.json is there already, and no export wrote it" in str(done.exception)
    (folder / "steps.json").unlink()
    house("export", "house_a.py", "--stack", "specimen", "-o", str(folder))
    assert (folder / "plans" / f"{DIGEST}.json").exists()
    owner = {"project": "house", "pipeline": "written_a", "orchestrator": "specimen", "instance": "default"}
    (tmp_path / "mine.txt").write_text("of the user's own")
    for name in ("../mine.txt", str(tmp_path / "mine.txt"), None):
        entry = {"files": [name, *(["a"] if name else [])], **owner}
        (folder / written.FILES).write_text(json.dumps({"written_by_turnout": [entry]}) if name else "{")
        done = CliRunner().invoke(application, ["export", "house_a.py", "--stack", "specimen", "-o", str(folder)])
        assert "it names the files in its folder that turnout wrote" in str(done.exception)
    assert (tmp_path / "mine.txt").exists()


def test_an_export_of_turnout_0_1_is_replaced(house, tmp_path):
    folder = tmp_path / "exports"
    house("export", "house_a.py", "--stack", "specimen", "-o", str(folder))
    (folder / written.FILES).unlink()
    shutil.rmtree(folder / "code")
    for path in (f"plans/{DIGEST}.json", f"code/{DIGEST}/code.zip", "plans/notes.json"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("old")
    (folder / "steps.json").write_text("old")
    house("export", "house_a.py", "--stack", "specimen", "-o", str(folder))
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert [path for path in files if DIGEST in path] == []
    assert "plans/notes.json" in files
    house("export", "house_a.py", "--stack", "specimen", "-o", str(folder), "--check")


def test_a_file_that_is_a_parameter_is_no_code(house):
    large = b"x" * (sources.FILE_LIMIT + 1)
    Path("data.csv").write_bytes(large)
    Path("folder").mkdir()
    Path("folder/large.bin").write_bytes(large)
    text = PIPELINE.replace("File,", "File, Folder,").replace('"data.csv"', '"data.csv", more: Folder = "folder"')
    Path("house_a.py").write_text(text.format(name="a"))
    house.commit()
    left_out = house.document("explain", "house_a.py")["code"]["left_out"]
    assert left_out == ["data.csv: the content of a parameter", "folder/large.bin: the content of a parameter"]


def test_a_file_that_a_run_is_given_is_no_code_however_large(house):
    Path("large.csv").write_bytes(b"x" * (sources.FILE_LIMIT + 1))
    house.commit()
    assert house.document("run", "house_a.py", "-p", "path=large.csv")["state"] == "succeeded"
    assert house.document("run", "house_a.py", "--sweep", "path=large.csv,data.csv")
    done = CliRunner().invoke(application, ["run", "house_a.py"])
    assert "large.csv (20 MB)" in str(done.exception)


@pytest.mark.parametrize(
    ("change", "packed"),
    [
        (("return", "open('data.csv'); return"), "data.csv"),
        (("@step", "@step(files=['*.csv'])"), "data.csv"),
        (('"data.csv"', '"house_b.py"'), "house_b.py"),
    ],
)
def test_a_parameters_file_that_code_needs_travels(house, change, packed):
    Path("house_a.py").write_text(PIPELINE.replace(*change).format(name="a"))
    house.commit()
    from turnout.api.launch import Launch
    from turnout.cli.target import find_pipeline

    assert packed in Launch.of(find_pipeline("house_a.py")).planned.package.files


def test_a_default_that_is_not_there_is_needed_only_where_no_other_is_given(house):
    Path("data.csv").rename("other.csv")
    house.commit()
    done = CliRunner().invoke(application, ["run", "house_a.py"])
    assert "there is no such file" in str(done.exception)
    run = house.document("run", "house_a.py", "-p", "path=other.csv")
    assert run["state"] == "succeeded"
    assert house.document("run", "house_a.py", "--sweep", "path=other.csv,other.csv")


IGNORED = {
    ".gitignore": "*.log\n/build\ncache/\n!keep.log\ndata/*\n!data/code.sql\n",
    "pkg/.gitignore": "!special.log\nlocal_*\n",
}
FILES = {
    "a.log": False, "keep.log": True, "build": False, "pkg/build": True, "pkg/special.log": True, "pkg/other.log": False,
    "pkg/local_x.py": False, "cache/keep.log": False, "pkg/cache/x": False, "data/x.csv": False, "data/code.sql": True,
    "local_y.py": True,
}  # fmt: skip


def test_gitignore_counts_as_it_does_with_git_also_where_there_is_no_repository(tmp_path):
    root = tmp_path / "project"
    for path in (*IGNORED, *FILES):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(IGNORED.get(path, ""))
    expected = sorted([*IGNORED, *(path for path, packed in FILES.items() if packed)])
    assert [file.path for file in sources.collect(load_project(root)).files] == expected
    git(root, "init", "-q")
    assert [file.path for file in sources.collect(load_project(root)).files] == expected


def test_what_a_deployer_keeps_in_a_folder_of_its_own_is_no_code(tmp_path):
    digest = "0" * 64
    kept = f"wanted.json serving.json processes.json processes.lock log.txt metrics/1.db .wanted.json.77 {digest}.json"
    ours = {f"served/delay/{name}" for name in kept.split()}
    own = {"served/readme.md", "served/other/log.txt", "served/delay/notes.txt", "delay/wanted.json", "wanted.json"}
    found = written.find(tmp_path, ours | own, written.Places(endpoints=frozenset({"served"})))
    assert found == {"served/delay: an endpoint that is served": ours}
