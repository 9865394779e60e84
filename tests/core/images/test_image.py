"""Images for steps: a Dockerfile that is the same for the same pins, no credential in it, built by whatever there is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from projects import TURNOUT, entered, write_project

from turnout.base.errors import ConfigError
from turnout.cli.image import build
from turnout.environment import installed
from turnout.images import wheels
from turnout.images.dockerfile import Image, Wheel, dockerfile, files
from turnout.model.endpoint_plan import decode
from turnout.serving.service import Service
from turnout.stores import layout
from turnout.stores.local import LocalStore

PIPELINE = """\
import pyarrow as pa

from turnout import endpoint, pipeline, step


@step
def one() -> int:
    return 1


@step(requirements=["packaging>=24"])
def other(number: int) -> int:
    return number


@pipeline
def plain():
    one()


@pipeline
def both():
    other(one())


@step
def table() -> pa.Table:
    return pa.table({"x": [1, 2, 3]})


@step
def factors(rows: pa.Table) -> bytes:
    return b"2" * 5000


@step
def times(rows: pa.Table, factors: bytes) -> list:
    return [x * len(factors) for x in rows.column("x").to_pylist()]


@pipeline
def training():
    factors(table())


@endpoint(training, like={"rows": "table"})
def doubled(rows: pa.Table):
    return times(rows, training["factors"])
"""
SAMPLE = Image(
    project="Sample_1",
    base="registry.example/python:3.11",
    python="3.11",
    pins=("numpy==2.0.0", "pandas==2.2.0"),
    own=("click==8.1.0", "turnout==0.1.0"),
    local={"own-lib": "d1"},
)
WHEEL = Wheel(name="own-lib", file="own_lib-1-py3-none-any.whl", data=b"wheel")


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.setattr(wheels, "build", lambda one: Wheel(name=one.name, file=f"{one.name}.whl", data=b"wheel"))

    def run(pipeline, *arguments):
        return CliRunner().invoke(build, [f"image_pipeline.py:{pipeline}", *arguments])

    files = {"image_pipeline.py": PIPELINE}
    with entered(write_project(tmp_path / "project", files, name="sample", dependencies=("msgspec",))):
        yield run


@pytest.fixture
def builder(tmp_path, monkeypatch):
    """A path on which there is one builder, that notes how it was called; it fails for tags that say so."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "buildah"
    script.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\necho built\ncase "$*" in *broken*) exit 3;; esac\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin/no:{Path(sys.executable).parent}")
    return tmp_path / "calls"


def test_a_dockerfile_is_what_it_was(snapshot):
    assert dockerfile(SAMPLE, wheels=True) == snapshot(name="with a wheel")
    baked = msgspec.structs.replace(SAMPLE, code="c0de")
    assert dockerfile(baked, wheels=False) == snapshot(name="with code")
    served = msgspec.structs.replace(baked, endpoint="delay", version="d1" * 32)
    assert dockerfile(served, wheels=False) == snapshot(name="of an endpoint")
    assert served.tag.startswith("sample-1-delay:")


def test_the_files_are_the_pins_and_nothing_moves():
    found = files(SAMPLE, [WHEEL])
    assert found["requirements.txt"] == b"numpy==2.0.0\npandas==2.2.0\n"
    assert found["turnout.txt"] == (
        b"click==8.1.0\nown-lib @ file:///opt/turnout/wheels/own_lib-1-py3-none-any.whl\nturnout==0.1.0\n"
    )
    assert found["wheels/own_lib-1-py3-none-any.whl"] == b"wheel"
    assert found == files(SAMPLE, [WHEEL])
    assert re.fullmatch(r"sample-1:[0-9a-f]{12}", SAMPLE.tag)


def test_what_an_image_holds_decides_about_its_tag():
    def with_(**changes):
        return msgspec.structs.replace(SAMPLE, **changes).tag

    others = {
        with_(base="python:3.12"),
        with_(pins=("numpy==2.0.1",)),
        with_(own=("click==8.2.0",)),
        with_(local={"own-lib": "d2"}),
        with_(code="c0de"),
        with_(endpoint="delay"),
        with_(endpoint="delay", version="d1"),
    }
    assert len({*others, SAMPLE.tag}) == 8
    assert with_() == SAMPLE.tag


def test_good_practice_is_kept():
    """What a linter of Dockerfiles looks for: one base with a tag, root only while building, layers that are cached."""
    lines = [line for line in dockerfile(SAMPLE, wheels=True).splitlines() if line and not line.startswith("#")]
    words = [line.split()[0] for line in lines if line[0] != " "]
    assert words[0] == "FROM"
    assert words.count("FROM") == 1
    assert lines[-1] == "USER 1000:1000"
    assert not {"ADD", "ENTRYPOINT", "MAINTAINER", "ARG"} & set(words)
    assert all("--no-cache-dir" in line for line in lines if "pip install" in line)
    copied = [line for line in lines if line.startswith("COPY")]
    assert copied[0] == "COPY requirements.txt /opt/turnout/", "what changes least comes first"
    assert not any(line.split()[1] == "." for line in copied)


def test_it_writes_what_the_lock_says(call, tmp_path, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://someone:hush-hush@index.invalid/simple")
    done = call("plain", "--file-only", "-o", str(tmp_path / "out"), "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.output)
    (one,) = document["images"]
    assert (one["environment"], one["steps"], document["builder"]) == ("default", ["one"], None)
    pins = (tmp_path / "out" / "requirements.txt").read_text().split()
    assert [pin.partition("==")[0] for pin in pins] == ["msgspec"]
    own = (tmp_path / "out" / "turnout.txt").read_text()
    assert "turnout @ file:///opt/turnout/wheels/turnout.whl\n" in own
    assert "msgspec" not in own, "it is installed at the version the steps are locked to"
    assert "specimen" not in own
    assert "FROM docker.io/library/python:3." in (tmp_path / "out" / "Dockerfile").read_text()
    assert not any(b"hush-hush" in path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert call("plain", "--file-only", "-o", str(tmp_path / "out")).exit_code == 0
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_the_stack_says_what_it_is_built_on(call, tmp_path):
    (tmp_path / "project" / "own.yaml").write_text(
        "extends: local\nenvironment: {base_image: 'registry.example/ml/python:3.11'}\n"
    )
    call("plain", "--file-only", "-o", str(tmp_path / "out"), "--stack", "own.yaml")
    assert "\nFROM registry.example/ml/python:3.11\n" in (tmp_path / "out" / "Dockerfile").read_text()
    call("plain", "--file-only", "-o", str(tmp_path / "out"), "--stack", "own.yaml", "--base", "python:3.11")
    assert "\nFROM python:3.11\n" in (tmp_path / "out" / "Dockerfile").read_text()
    assert call("plain", "--file-only", "--base", "x\nRUN id").exit_code != 0


def test_a_launcher_comes_with_it(call, tmp_path):
    (tmp_path / "project" / "own.yaml").write_text("extends: local\norchestrator: {type: kubeflow}\n")
    done = call("plain", "--file-only", "-o", str(tmp_path / "out"), "--stack", "own.yaml")
    assert done.exit_code == 0, done.output
    assert "turnout-kubeflow @ " in (tmp_path / "out" / "turnout.txt").read_text()


def test_what_a_tracker_needs_comes_with_it_or_is_named(call, tmp_path, monkeypatch):
    (tmp_path / "project" / "own.yaml").write_text("extends: local\ntracker: {type: tensorboard, folder: events}\n")
    have = dict(installed.distributions())
    have["tensorboard"] = installed.Distribution(name="tensorboard", version="2.99")
    monkeypatch.setattr(installed, "distributions", lambda: have)
    done = call("plain", "--file-only", "-o", str(tmp_path / "out"), "--stack", "own.yaml")
    assert done.exit_code == 0, done.output
    own = (tmp_path / "out" / "turnout.txt").read_text()
    assert "\ntensorboard==2.99\n" in own
    assert "\nturnout-tensorboard @ " in own
    del have["tensorboard"]
    done = call("plain", "--file-only", "-o", str(tmp_path / "out"), "--stack", "own.yaml")
    assert re.search(r"tensorboard>=\S+ is not installed here", str(done.exception))


def test_code_can_be_baked_in(call, tmp_path):
    script = tmp_path / "project" / "tools" / "clean.sh"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o700)
    before = os.umask(0o077)
    try:
        done = call("plain", "--file-only", "-o", str(tmp_path / "out"), "--bake-code", "--json")
    finally:
        os.umask(before)
    assert done.exit_code == 0, done.output
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "out" / "code").rglob("*")}
    assert modes["tools"] == modes["clean.sh"] == "0o755", "steps run as another user than who builds"
    assert modes["image_pipeline.py"] == "0o644"
    assert (tmp_path / "out" / "code" / "image_pipeline.py").read_text() == PIPELINE
    assert re.search(
        r"COPY code/ /opt/turnout/cache/code/[0-9a-f]{64}/\n", (tmp_path / "out" / "Dockerfile").read_text()
    )
    assert call("plain", "--file-only", "-o", str(tmp_path / "out")).exit_code == 0
    assert not (tmp_path / "out" / "code").exists(), "what an image no longer holds is gone"


def test_each_environment_has_an_image(call, tmp_path, builder):
    done = call("both", "-o", str(tmp_path / "out"), "--tag", "team/sample:1", "--json")
    assert done.exit_code == 0, done.output
    first, second = json.loads(done.stdout)["images"]
    assert (first["tag"], first["steps"]) == ("team/sample:1", ["one"])
    assert (second["tag"], second["steps"]) == (f"team/sample:1-{second['environment']}", ["other"])
    assert "packaging==" in (tmp_path / "out" / second["environment"] / "requirements.txt").read_text()
    assert len(builder.read_text().splitlines()) == 2


def test_it_builds_and_pushes_by_what_there_is(call, tmp_path, builder):
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://someone:hush-hush@index.invalid/simple\n")
    folder = tmp_path / "out"
    done = call(
        "plain", "-o", str(folder), "-t", "a:1", "--push", "--pip-config", str(config), "--", "--network", "host"
    )
    assert done.exit_code == 0, done.output
    assert done.stdout == f"a:1: built by buildah from {folder}\n", "what the builder says is no part of the answer"
    assert builder.read_text().splitlines() == [
        f"build --tag a:1 --secret id=pip,src={config} --network host {folder}",
        "push a:1",
    ]


def test_a_builder_that_fails_is_told(call, tmp_path, builder):
    done = call("plain", "-o", str(tmp_path / "out"), "--tag", "broken:1")
    assert str(done.exception) == (
        "buildah could not build broken:1\n  why: it ended with 3\n  fix: see what it printed above"
    )
    assert done.exception.exit_code == 1


def test_without_a_builder_the_file_is_written_all_the_same(call, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    folder = tmp_path / "out"
    done = call("plain", "-o", str(folder), "--tag", "a:1")
    assert "there is no docker that answers, no podman and no buildah" in str(done.exception)
    assert done.exception.fix == f"build it where there is one: docker build --tag a:1 {folder}"
    assert (folder / "Dockerfile").is_file()


def test_a_folder_of_someone_elses_is_left_alone(call, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / "code").mkdir()
    done = call("plain", "--file-only", "-o", str(folder))
    assert "holds other files" in str(done.exception)
    assert (folder / "code").is_dir()


def test_what_is_not_installed_here_cannot_be_pinned():
    with pytest.raises(Exception, match="no-such-thing is not installed here"):
        wheels.needed(["no-such-thing"], ())
    with pytest.raises(Exception, match="cannot be put into an image: no index has it"):
        wheels.of_local(["click"])


def test_what_cannot_stand_beside_the_lock_is_refused():
    with pytest.raises(Exception, match=r"the locked msgspec==0\.1 cannot stand beside turnout==") as caught:
        wheels.needed(["turnout"], ["msgspec==0.1"])
    assert caught.value.fix.startswith("allow msgspec>=")


def test_turnouts_own_needs_give_way_to_the_lock():
    found = wheels.needed(["turnout"], ["click==8.1.0"])
    assert "turnout" in found
    assert "rich" in found
    assert "pygments" in found, "and what these need in turn"
    assert "click" not in found


def test_that_of_an_endpoint_holds_all_that_it_serves(call, tmp_path):
    """Its plan, code and the artifacts that it is bound to, and not the table that requests are like."""
    assert call("doubled").exit_code == 1, "without a run there is nothing to serve"
    found = subprocess.run([*TURNOUT, "run", "image_pipeline.py:training"], capture_output=True, check=False)
    assert found.returncode == 0, found.stderr
    out = tmp_path / "out"
    for _ in range(2):  # what was written here before is written anew
        done = call("doubled", "--file-only", "-o", str(out), "--json")
        assert done.exit_code == 0, done.output
    plan = decode((out / "endpoint.json").read_bytes())
    document = json.loads(done.output)
    assert document["plan"] == plan.digest
    assert document["images"][0]["steps"] == ["times"]
    store = LocalStore.from_url(str(out / "store"))
    service = Service(plan, store, tmp_path)
    (code,) = (out / "code").glob("image_pipeline.py")
    assert code.read_text() == PIPELINE
    assert store.read(layout.manifest(plan.requests[0].like.digest)) is None
    assert service.bound == {("factors", "output"): b"2" * 5000}
    assert {path.name for path in out.iterdir()} >= {"Dockerfile", "requirements.txt", "turnout.txt", "store", "code"}
    assert "starlette==" in (out / "turnout.txt").read_text()
    assert all(path.stat().st_mode & 0o004 for path in out.rglob("*")), "steps run as another user"


def test_a_run_is_only_of_an_endpoint(call, snapshot):
    done = call("plain", "--run", "latest", "--file-only")
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception) == snapshot


@pytest.mark.slow
def test_a_wheel_is_made_of_a_folder():
    made = wheels.build(installed.distributions()["turnout-specimen"])
    assert (made.name, made.file[-4:], made.data[:2]) == ("turnout-specimen", ".whl", b"PK")
