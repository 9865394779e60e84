"""Locking a project's requirements: uv.lock, what is installed, what uv resolves from an index of a few small wheels."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from wheels import make_wheel

from turnout.base.errors import PlanError
from turnout.environment import environment, installed, resolver
from turnout.project.project import Project

MakeProject = Callable[..., Project]


@pytest.fixture
def make_project(tmp_path: Path) -> MakeProject:
    def make(dependencies: Sequence[str] | None = None, *, requires_python: str = "", more: str = "") -> Project:
        root = tmp_path / "shop"
        root.mkdir(exist_ok=True)
        if dependencies is not None or requires_python or more:
            lines = ["[project]", 'name = "Shop.App"', 'version = "1"']
            lines += [f"dependencies = {list(dependencies)!r}"] if dependencies is not None else []
            lines += [f"requires-python = {requires_python!r}"] if requires_python else []
            (root / "pyproject.toml").write_text("\n".join([*lines, more]), encoding="utf-8")
            return Project(root=root, name="shop", has_pyproject=True)
        return Project(root=root, name="shop")

    return make


@pytest.fixture
def uv_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first words of each call of uv."""
    calls: list[str] = []
    run = resolver.run

    def counted(what: str, arguments: Sequence[str], **kwargs: object) -> str:
        calls.append(" ".join(arguments[:2]))
        return run(what, arguments, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(resolver, "run", counted)
    return calls


def version(name: str) -> str:
    return importlib.metadata.version(name)


def test_without_a_pyproject_the_running_interpreter_is_the_lock(
    make_project: MakeProject, uv_calls: list[str]
) -> None:
    locked = environment.lock(make_project())
    assert locked.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"pytest=={version('pytest')}" in locked.pins
    assert locked.pins == tuple(sorted(locked.pins))
    names = {pin.split("==")[0] for pin in locked.pins}
    assert not {name for name in names if name.startswith("turnout")} | names & {"pip", "uv"}
    assert environment.missing(locked.pins) == ()
    assert uv_calls == []


def test_a_pyproject_of_tool_settings_alone_declares_nothing(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    locked = environment.lock(Project(root=tmp_path, name="p", has_pyproject=True))
    assert f"pytest=={version('pytest')}" in locked.pins


def test_declared_and_installed_is_the_closure_of_installed_versions(
    make_project: MakeProject, uv_calls: list[str]
) -> None:
    locked = environment.lock(make_project(["Hypothesis>=6", "turnout", "nothing-here; python_version < '3'"]))
    needed = ["hypothesis", "sortedcontainers"]
    if sys.version_info < (3, 11):  # where hypothesis needs a backport, and that one another
        needed = ["exceptiongroup", *needed, "typing-extensions"]
    assert locked.pins == tuple(f"{name}=={version(name)}" for name in needed)
    assert locked.notes == ()
    assert uv_calls == []


def test_no_dependencies_are_no_pins(make_project: MakeProject) -> None:
    assert environment.lock(make_project([])).pins == ()


def test_what_is_not_installed_is_resolved_once(make_project: MakeProject, index: Path, uv_calls: list[str]) -> None:
    project = make_project(["TN_Alpha<2", "turnout"])
    locked = environment.lock(project)
    assert locked.pins == ("tn-alpha==1.0", "tn-beta==3.0")
    assert uv_calls == ["pip compile"]
    make_wheel(index, "tn_beta", "4.0")
    assert environment.lock(project) == locked
    assert uv_calls == ["pip compile"], "the same question is not asked again"
    assert environment.lock(make_project(["tn-alpha"])).pins == ("tn-alpha==2.0", "tn-beta==4.0")


def test_a_resolution_stays_near_what_is_installed(
    make_project: MakeProject, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = installed.Distribution(name="tn-beta", version="2.0")
    monkeypatch.setattr(installed, "distributions", lambda: {"tn-beta": here})
    assert environment.lock(make_project(["tn-alpha"])).pins == ("tn-alpha==2.0", "tn-beta==2.0")


def test_extra_requirements_keep_the_projects_versions(make_project: MakeProject, index: Path) -> None:
    project = make_project(["tn-beta<3"])
    assert environment.lock(project).pins == ("tn-beta==2.0",)
    assert environment.lock(project, ["tn-alpha"]).pins == ("tn-alpha==2.0", "tn-beta==2.0")
    assert environment.lock(project, ["tn-beta>=1"]).pins == ("tn-beta==2.0",)


def test_extra_requirements_without_a_pyproject(
    make_project: MakeProject, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {
        "tn-alpha": installed.Distribution(name="tn-alpha", version="1.0", requires=("tn-beta>=1",)),
        "tn-beta": installed.Distribution(name="tn-beta", version="1.0"),
    }
    monkeypatch.setattr(installed, "distributions", lambda: here)
    assert environment.lock(make_project()).pins == ("tn-alpha==1.0", "tn-beta==1.0")
    assert environment.lock(make_project(), ["tn-beta==3.0"]).pins == ("tn-alpha==1.0", "tn-beta==3.0")


def test_a_conflict_is_told_in_uvs_words(make_project: MakeProject, index: Path) -> None:
    with pytest.raises(PlanError) as caught:
        environment.lock(make_project(["tn-beta<2"]), ["tn-alpha>=2"])
    text = str(caught.value)
    assert text.splitlines()[0] == "the environment cannot be locked: its requirements do not go together"
    assert "tn-alpha" in text
    assert "unsatisfiable" in text
    assert text.splitlines()[-1] == "  fix: relax one of them: the project's dependencies or the step's requirements"
    assert "\n\n" not in text
    assert "cause:" not in text


def test_a_requirement_that_cannot_be_read(make_project: MakeProject) -> None:
    with pytest.raises(PlanError) as caught:
        environment.lock(make_project(["pandas>>2"]))
    assert str(caught.value).splitlines()[0] == "the requirement 'pandas>>2' cannot be read"


def test_a_python_that_the_project_does_not_allow(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.python_version", lambda: "3.11.4")
    environment.lock(make_project([], requires_python=">=3.11.4"))
    with pytest.raises(PlanError) as caught:
        environment.lock(make_project([], requires_python=">=3.12"))
    assert str(caught.value) == (
        "pyproject.toml: the project needs Python >=3.12, this is 3.11.4\n"
        "  fix: plan with a Python that it allows, or change requires-python"
    )


def test_what_turnout_cannot_stand_beside(make_project: MakeProject) -> None:
    with pytest.raises(PlanError) as caught:
        environment.check(["click==7.0", "msgspec==0.19"])
    assert caught.value.what == "the locked click==7.0 cannot stand beside turnout"
    assert caught.value.why == "turnout needs click>=8.1"
    environment.check(["click==8.1.0", "other==1"])


def uv_lock(project: Project) -> None:
    command = [resolver.binary(), "lock", "--quiet", "--python", sys.executable]
    subprocess.run(command, cwd=project.root, check=True)


def test_the_projects_own_uv_lock_comes_first(make_project: MakeProject, index: Path, uv_calls: list[str]) -> None:
    groups = '[dependency-groups]\ndev = ["tn-gamma"]\n'
    make_wheel(index, "tn_gamma", "1.0")
    project = make_project(["tn-alpha<2"], more=groups)
    uv_lock(project)
    make_wheel(index, "tn_beta", "5.0")
    assert environment.lock(project).pins == ("tn-alpha==1.0", "tn-beta==3.0")
    assert uv_calls == ["export --quiet"]
    assert environment.lock(project, ["tn-gamma"]).pins == ("tn-alpha==1.0", "tn-beta==3.0", "tn-gamma==1.0")


def test_turnout_and_what_only_it_needs_are_pruned_from_uv_lock(make_project: MakeProject, index: Path) -> None:
    make_wheel(index, "turnout", "9.0", ["tn-gamma"])
    make_wheel(index, "turnout_zebra", "9.0", ["turnout"])
    make_wheel(index, "tn_gamma", "1.0")
    project = make_project(["tn-beta==1.0", "turnout-zebra"])
    uv_lock(project)
    assert environment.lock(project).pins == ("tn-beta==1.0",)


def test_an_outdated_uv_lock_is_refused(make_project: MakeProject, index: Path) -> None:
    project = make_project(["tn-beta==1.0"])
    uv_lock(project)
    make_project(["tn-beta==1.0", "tn-alpha"])
    with pytest.raises(PlanError) as caught:
        environment.lock(project)
    assert str(caught.value) == (
        "pyproject.toml: uv.lock does not hold what pyproject.toml asks for: tn-alpha\n"
        "  fix: run `uv lock` in the project's folder"
    )


def test_a_workspaces_uv_lock_holds_for_its_members(tmp_path: Path, index: Path) -> None:
    member, library = tmp_path / "packages/app", tmp_path / "packages/lib"
    for folder in (member, library):
        folder.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    (member / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "1"\ndependencies = ["tn-beta==1.0", "lib"]\n'
        "[tool.uv.sources]\nlib = { workspace = true }\n"
    )
    (library / "pyproject.toml").write_text(
        '[project]\nname = "lib"\nversion = "1"\ndependencies = ["tn-alpha==1.0"]\n'
    )
    project = Project(root=member, name="app", has_pyproject=True)
    uv_lock(project)
    locked = environment.lock(project)
    assert locked.pins == ("tn-alpha==1.0", "tn-beta==1.0")
    assert list(locked.local) == ["lib"]
    (library / "code.py").write_text("x = 1")
    assert environment.lock(project).local != locked.local, "its code is part of the environment"


def test_local_folders_are_no_pins_but_their_content_counts(
    make_project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "lib.py").write_text("x = 1")
    project = make_project(["lib"])
    here = {
        "lib": installed.Distribution(name="lib", version="1", origin="editable", url=library.as_uri()),
        "shop-app": installed.Distribution(name="shop-app", version="1", origin="editable", url=project.root.as_uri()),
    }
    monkeypatch.setattr(installed, "distributions", lambda: here)
    locked = environment.lock(project)
    assert locked.pins == ()
    assert locked.notes == (f"lib is not from an index ({library.as_uri()}): workers must have it already",)
    (library / "lib.py").write_text("x = 2")
    again = environment.lock(project)
    assert locked.local.keys() == again.local.keys() == {"lib"}
    assert locked.local != again.local


def test_credentials_in_urls_are_never_told() -> None:
    text = "error: Failed to fetch: `https://user:p@ss/word@index.example/simple/`"
    assert resolver.redact("see https://user:p@ss@index.example/x and git+ssh://tok@host/r") == (
        "see https://index.example/x and git+ssh://host/r"
    )
    assert "user" not in resolver.explanation(text)


def test_an_explanation_is_short_and_plain() -> None:
    old = "  \u00d7 No solution found when resolving dependencies:\n  ╰─▶ Because a was not found\n      and b is not.\n\nhint: try\n"
    assert resolver.explanation(old) == "Because a was not found and b is not."
    assert len(resolver.explanation("word " * 500)) == 600


def test_an_index_that_cannot_be_reached(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://somebody:hidden@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(PlanError) as caught:
        environment.lock(make_project(["tn-nowhere"]))
    assert "somebody" not in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert caught.value.fix is not None
    assert caught.value.fix.startswith("make the package index reachable, or install")


def test_uv_that_is_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PlanError) as caught:
        resolver.binary()
    assert str(caught.value) == (
        "uv was not found; it locks and makes the environments of steps\n  fix: install it beside turnout: pip install uv"
    )


def test_missing_pins() -> None:
    here = version("packaging")
    assert environment.missing([f"packaging=={here}", f"packaging=={here}.0"]) == ()
    assert environment.missing(["packaging==1.0", "tn-nowhere==1"]) == ("packaging==1.0", "tn-nowhere==1")


def test_extras_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {
        "a": installed.Distribution(name="a", version="1", requires=("b; extra == 'x'", "c; python_version < '3'")),
        "b": installed.Distribution(name="b", version="1", requires=("a[x]",)),
    }
    monkeypatch.setattr(installed, "distributions", lambda: here)
    assert set(installed.closure(["a"]) or ()) == {"a"}
    assert set(installed.closure(["a[x]"]) or ()) == {"a", "b"}
    assert installed.closure(["a", "b>1"]) is None


def test_the_environment_holds_the_pins_and_is_made_once(tmp_path: Path, index: Path, uv_calls: list[str]) -> None:
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    old = environment.ensure(minor, ["tn-alpha==1.0", "tn-beta==1.0"], tmp_path / "cache", own=())
    new = environment.ensure(minor, ["tn-alpha==2.0", "tn-beta==3.0"], tmp_path / "cache", own=())
    calls = len(uv_calls)
    assert environment.ensure(minor, ["tn-alpha==1.0", "tn-beta==1.0"], tmp_path / "cache", own=()) == old
    assert len(uv_calls) == calls
    command = "import tn_alpha, tn_beta; print(tn_alpha.version, tn_beta.version)"
    printed = [
        subprocess.run([str(python), "-c", command], check=True, capture_output=True, text=True).stdout
        for python in (old, new)
    ]
    assert printed == ["1.0 1.0\n", "2.0 3.0\n"]
    compiled = list(old.parents[1].glob("lib/*/site-packages/__pycache__/tn_alpha*.pyc"))
    assert compiled, "what is installed is compiled"


def test_half_made_environments_are_made_again(tmp_path: Path, index: Path) -> None:
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = environment.ensure(minor, ["tn-beta==1.0"], tmp_path / "cache", own=())
    (python.parents[1] / "complete").unlink()
    (python.parents[1] / "litter").touch()
    assert environment.ensure(minor, ["tn-beta==1.0"], tmp_path / "cache", own=()) == python
    assert not (python.parents[1] / "litter").exists()


def test_a_pin_no_index_has(tmp_path: Path, index: Path) -> None:
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    with pytest.raises(PlanError) as caught:
        environment.ensure(minor, ["tn-beta==99"], tmp_path / "cache", own=())
    assert caught.value.what == "no package index has tn-beta==99: the locked versions cannot be installed"
    assert "tn-beta==99" in (caught.value.why or "")


def test_a_package_no_index_has_is_named(make_project: MakeProject, index: Path) -> None:
    with pytest.raises(PlanError) as caught:
        environment.lock(make_project(["tn-alpha>=1"]), ["tn-gamma>=1"])
    assert caught.value.what == "no package index has tn-gamma: the environment cannot be locked"
    assert (caught.value.fix or "").startswith("see how it is spelt")


def test_a_python_that_is_not_here(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        environment.ensure("3.2", [], tmp_path / "cache", own=())
    assert caught.value.what == "an environment of Python 3.2 cannot be made"


def test_turnout_is_installed_under_the_pins_as_constraints(tmp_path: Path) -> None:
    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        python = environment.ensure(minor, ["six==1.16.0", "click==8.1.7"], tmp_path / "cache")
    except PlanError as error:
        unreachable = error.fix is not None and error.fix.startswith("make the package index reachable")
        if unreachable and not os.environ.get("CI"):
            pytest.skip("no package index answers")
        raise
    command = "import click, six, turnout, importlib.metadata as m; print(m.version('click'), six.__version__)"
    done = subprocess.run([str(python), "-W", "ignore", "-c", command], check=True, capture_output=True, text=True)
    assert done.stdout == "8.1.7 1.16.0\n"
