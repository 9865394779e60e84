"""Exporting an endpoint: its deployer's files, and the lock that says what they serve."""

import json

import pytest
from projects import DOUBLING, call_here, project_fixture

project = project_fixture({"doubling.py": DOUBLING}, name="served", run=("run", "doubling.py"))


@pytest.fixture
def export(project, tmp_path, capfd):
    folder = tmp_path / "out"

    def exported(*options, code=0):
        capfd.readouterr()
        call_here("export", "doubling.py:double", "-o", str(folder), "--json", *options, code=code)
        said = capfd.readouterr()
        return json.loads(said.out) if said.out else said.err

    exported.folder = folder
    return exported


def test_an_export_keeps_to_its_lock_until_it_is_updated(export):
    first = export()
    files = {path.name: path.read_bytes() for path in export.folder.iterdir()}
    assert set(files) == {"endpoint.json", "bindings.lock", ".turnout-files.json"}
    assert f"run: {first['run']}\nasked: latest\n".encode() in files["bindings.lock"]
    call_here("run", "doubling.py", "-p", "factor=3")
    assert export("--check")["changed"] == []
    assert export() == {**first, "changed": []}
    assert export("--check", "--update", code=1)["changed"] == ["bindings.lock", "endpoint.json"]
    newer = export("--update")
    assert newer["run"] != first["run"]
    assert export("--check")["changed"] == []
    assert "fix: take another: --update --run RUN" in export("--run", first["run"], code=2)
    assert export("--update", "--run", first["run"])["run"] == first["run"]
    assert export("--check")["changed"] == []
    assert export()["run"] == first["run"]


def test_what_was_changed_by_hand_is_found(export):
    export()
    path = export.folder / "endpoint.json"
    path.write_text(path.read_text() + " ")
    assert export("--check", code=1)["changed"] == ["endpoint.json"]
    path.unlink()
    assert export("--check", code=1)["changed"] == ["endpoint.json"]


def test_a_lock_that_is_none_or_does_not_hold_is_refused(export):
    export()
    path = export.folder / "bindings.lock"
    text = path.read_text()
    for broken, told in (
        ("run: [1]", "bindings.lock cannot be read: "),
        (text.replace("fit:output: ", "fit:output: 0"), "does not serve what bindings.lock says: fit:output"),
        (text.replace("asked: latest", "asked: champion"), "does not serve what bindings.lock says: how its run is"),
    ):
        path.write_text(broken)
        error = export("--check", code=2)
        assert told in error
        assert "--update" in error
    path.write_text(text.replace("run: ", "run: zz"))
    export("--check", code=2)


def test_what_an_export_serves_is_kept_once_it_is_sent(export, project):
    from turnout.api.workspace import Workspace
    from turnout.catalog.deployed import history

    export()
    store = Workspace.here().store
    assert history(store, "served", "double") == ()
    plan = export("--upload")["plan"]
    assert [one.plan.digest for one in history(store, "served", "double")] == [plan]


def test_files_of_a_deployer_may_have_no_canaries(export):
    export()
    for share, told in (
        ("0.1", "the local deployer cannot export a canary of double"),
        ("1.5", "a share of 1.5 of the requests cannot be given"),
        ("0", "a share of 0 of the requests cannot be given"),
    ):
        assert told in export("--share", share, code=2)
    assert export("--share", "1", "--check")["share"] == 1


def test_options_of_endpoints_are_refused_for_a_pipeline(project, tmp_path, capfd):
    call_here("export", "doubling.py", "-o", str(tmp_path), "--update", code=2)
    assert "--update, --share and --run are of endpoints" in capfd.readouterr().err
