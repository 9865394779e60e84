"""The stacks that plugins ship: found by name, listed with where they come from, copied into a project."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest
from click.testing import CliRunner

from turnout.base.errors import ConfigError
from turnout.cli.stack import stack
from turnout.components import discovery
from turnout.components.registry import discover
from turnout.project.project import Project
from turnout.stack import shipped
from turnout.stack.find import open_stack
from turnout.stack.location import describe, stacks

ROOT = Path(__file__).parents[3]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two plugins' packages, ``bank`` and ``shop``, which ship stacks, and an empty project beside them."""
    monkeypatch.delenv("TURNOUT_STACK", raising=False)
    folders = []
    for package in ("bank", "shop"):
        folder = tmp_path / "site" / package / "stacks"
        folder.mkdir(parents=True)
        folders.append(shipped.Shipped(folder, package, f"turnout-{package}"))
    monkeypatch.setattr(shipped, "folders", lambda: iter(folders))
    (tmp_path / "site/bank/stacks/bank.yaml").write_text("# Commented.\nextends: local\naccept: [gpu]\n")
    (tmp_path / "project").mkdir()
    (tmp_path / "project/pyproject.toml").write_text("[project]\nname = 'p'\nversion = '0'\n")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path


def files(site: Path, name: str) -> tuple[str, ...]:
    return open_stack(name, Project(root=site / "project", name="p"), discover(), {}).files


def call(*words: str) -> str:
    result = CliRunner().invoke(stack, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return str(result.exception)
    return result.output


def test_a_stack_that_a_plugin_ships_goes_by_its_name(site: Path) -> None:
    assert files(site, "bank") == ("bank:stacks/bank.yaml", "turnout:local.yaml")
    assert "bank\t\tturnout-bank\n" in call("list")


def test_the_projects_own_comes_first_and_may_extend_the_shipped_one(site: Path) -> None:
    own = site / "project/stacks/bank.yaml"
    own.parent.mkdir()
    own.write_text("extends: bank\n")
    assert files(site, "bank") == ("stacks/bank.yaml", "bank:stacks/bank.yaml", "turnout:local.yaml")
    (site / "site/shop/stacks/shop.yaml").write_text("extends: bank\n")
    assert files(site, "shop")[:2] == ("shop:stacks/shop.yaml", "stacks/bank.yaml")


def test_a_copy_is_the_text_and_is_never_overwritten(site: Path, snapshot: object) -> None:
    assert call("new", "bank") == "wrote stacks/bank.yaml\nnext: edit it, then turnout stack check bank\n"
    assert (site / "project/stacks/bank.yaml").read_text() == (site / "site/bank/stacks/bank.yaml").read_text()
    assert [call("new", "bank"), call("new", "bank", "--as", "../out"), call("new", "bnk")] == snapshot
    assert call("new", "bank", "--as", "prod").startswith("wrote stacks/prod.yaml\n")
    assert "bank\t\tstacks/bank.yaml\n" in call("list")


def test_a_name_that_two_plugins_ship_is_refused(site: Path) -> None:
    (site / "site/shop/stacks/bank.yaml").write_text("extends: local\n")
    with pytest.raises(ConfigError, match="turnout-bank and turnout-shop ship a stack 'bank' each"):
        files(site, "bank")


def test_a_stack_of_a_plugin_that_is_not_installed_says_what_to_install(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "extras", lambda: {"cart": "turnout-cart", "horse": "turnout-horse"})
    (site / "project/stacks").mkdir()
    (site / "project/stacks/prod.yaml").write_text("extends: horse-cart\n")
    for name, where in (("cart", "--stack"), ("prod", "stacks/prod.yaml:1")):
        with pytest.raises(ConfigError) as caught:
            files(site, name)
        assert str(caught.value.where) == where
        assert caught.value.fix == f"pip install 'turnout[{'cart' if name == 'cart' else 'horse,cart'}]'"


def test_every_ready_made_stack_of_the_repository_is_shipped() -> None:
    there = {path.resolve() for path in (ROOT / "stacks").glob("*.yaml")}
    listed = [source for source in stacks(Project(root=ROOT / "docs", name="x")) if source.origin]
    assert {source.path.resolve() for source in listed} == there
    assert all(describe(source) == source.origin or source.name == "local" for source in listed)


def test_a_module_is_found_without_being_imported() -> None:
    for entry in entry_points(group="turnout"):
        assert list(shipped.locations(entry.module)), entry
    assert not list(shipped.locations("not_there.at_all"))
