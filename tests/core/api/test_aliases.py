"""Aliases: what was promoted is found by its name, here and on another stack, in the store and in a registry."""

import json
import re
import shutil
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
from projects import HERE, IN_PROCESS, call_here, entered, write, write_project

import turnout
from turnout import builtin
from turnout.api import aliases as known
from turnout.api.workspace import Workspace, user
from turnout.base.errors import ArtifactError, ConfigError, PlanError, RunError, TurnoutError
from turnout.catalog import aliases
from turnout.components.hookspecs import hookimpl
from turnout.components.registry import Registry
from turnout.components.tracker import Registered, Tracker, TrackerConfig
from turnout.model.alias import Alias
from turnout.model.records import Artifact, RunInfo
from turnout.stores import layout
from turnout.stores.local import LocalStore

MODULE = """
from typing import Annotated

import pandas as pd

from turnout import log_metric, pipeline, step, when


class Model:
    def __init__(self, depth):
        self.depth = depth

    def __eq__(self, other):
        return self.depth == other.depth


@step
def rows(count: int) -> pd.DataFrame:
    return pd.DataFrame({"x": range(count)})


@step
def fit(rows: pd.DataFrame, *, depth: int) -> tuple[Annotated[Model, "model"], Annotated[dict, "notes"]]:
    log_metric("loss", 1.0)
    log_metric("loss", 0.5)
    return Model(depth), {"rows": len(rows)}


@step
def parts() -> list[int]:
    return [1, 2]


@step
def half(part: int) -> float:
    return part / 2


@step
def extra() -> int:
    return 1


@pipeline
def small(count: int = 3, depth: int = 2):
    fit(rows(count), depth=depth)
    halves = half.map(parts())
    with when(parts.named("more")()[0] > 5):
        extra()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("aliases") / "shop"
    write_project(root, {"shop_work.py": textwrap.dedent(MODULE)}, name="shop", dependencies=(), more=HERE)
    for name, more in {
        "here": "",
        "prod": "artifact_store: {root: prod}\n",
        "strict": "artifact_store: {root: strict}\npolicies: [{type: no_pickle}]\n",
        "shelf": "tracker: {type: shelf}\n",
        "insists": "tracker: {type: shelf, required: true}\n",
        "away": "artifact_store: {root: away}\ntracker: {type: shelf}\n",
    }.items():
        write(root, {f"stacks/{name}.yaml": IN_PROCESS + more})
    with entered(root):
        import shop_work

        yield root, [shop_work.small.run(depth=depth) for depth in (2, 3)]


@pytest.fixture
def runs(project, monkeypatch):
    """Two runs; what a test sets is gone after it."""
    root, runs = project
    monkeypatch.chdir(root)
    yield runs
    for place in (".turnout/store", "prod", "strict", "away"):
        shutil.rmtree(root / place / "shop" / "aliases", ignore_errors=True)
    for place in ("prod", "strict", "away"):
        shutil.rmtree(root / place, ignore_errors=True)


def test_an_alias_names_an_artifact(runs):
    first, _ = runs
    done = turnout.promote(first, "fit:model", "champion")
    assert (done.registered, done.problem) == (None, None)
    found = turnout.artifact("champion")
    assert found.load().depth == 2
    assert found.digest == first["fit"].outputs["model"].digests[0]
    assert (found.run.id, found.label, found.output) == (first.id, "fit", "model")
    assert found.record.logged.points[-1].value == 0.5


def test_every_setting_stays_and_the_newest_counts(runs):
    first, second = runs
    for run in (first, second, second, first):
        turnout.promote(run, "fit:model", "champion")
    settings = known.history(first.workspace, "champion")
    assert [one.number for one in settings] == [0, 1, 2]  # what it names already is not set again
    assert [one.run.id for one in settings] == [first.id, second.id, first.id]
    digests = [one.artifact.digest for one in settings]
    assert [one.previous for one in settings] == [None, *digests[:2]]
    assert turnout.artifact("champion").load().depth == 2
    assert [one.name for one in known.current(first.workspace)] == ["champion"]


def test_an_alias_that_is_removed_names_nothing_and_may_be_set_again(runs, capsys):
    first, _ = runs
    turnout.promote(first, "fit:model", "champion")
    call_here("artifacts", "aliases", "champion", "--remove")
    assert [line.split("\t")[4] for line in capsys.readouterr().out.splitlines()] == [
        first["fit"].outputs["model"].digests[0][:12],
        "removed",
    ]
    for gone in (
        lambda: turnout.artifact("champion"),
        lambda: known.remove(first.workspace, "champion"),
        lambda: known.history(first.workspace, "nobody"),
    ):
        with pytest.raises(ConfigError, match="no alias"):
            gone()
    assert known.current(first.workspace) == ()
    turnout.promote(first, "fit:model", "champion")
    assert turnout.artifact("champion").load().depth == 2
    settings = known.history(first.workspace, "champion")
    assert [(one.number, one.removed, one.previous is None) for one in settings] == [
        (0, False, True),
        (1, True, False),
        (2, False, True),
    ]
    call_here("artifacts", "aliases", "--remove", code=2)


def test_two_at_once_both_stay(tmp_path):
    store = LocalStore.from_url(str(tmp_path))

    def setting(number):
        info = RunInfo(
            id=f"r{number}", project="p", pipeline="q", plan="0", created="", stack="", orchestrator="", instance="",
            engine_run="",
        )  # fmt: skip
        artifact = Artifact(digest=f"{number}", materializer="json", type="int")
        return aliases.set_alias(
            store, Alias(name="best", time="", by="", run=info, step="s", output="o", artifact=artifact)
        )

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(setting, range(40)))
    assert sorted(one.number for one in made) == list(range(40))
    settings = aliases.history(store, "p", "best")
    assert {one.run.id for one in settings} == {f"r{number}" for number in range(40)}
    assert [one.previous for one in settings[1:]] == [one.artifact.digest for one in settings[:-1]]


def test_what_cannot_get_an_alias(runs, snapshot):
    first, _ = runs
    said = []
    for step, alias in (
        ("fit", "champion"),
        ("fit:mdoel", "champion"),
        ("parts", "champion"),
        ("half", "champion"),
        ("when_1", "champion"),
        ("extra", "champion"),
        ("rows", "latest"),
        ("rows", "v3"),
        ("rows", "../up"),
    ):
        with pytest.raises((ConfigError, RunError)) as caught:
            turnout.promote(first, step, alias)
        said.append(str(caught.value).replace(first.id, "RUN").replace(first.id[:8], "RUN"))
    assert known.current(first.workspace) == ()
    turnout.promote(first, "rows", "champion")
    for wrong in (
        lambda: turnout.promote(first, "rows", "Champion"),
        lambda: turnout.artifact("champoin"),
        lambda: turnout.artifact("../up"),
    ):
        with pytest.raises(ConfigError) as caught:
            wrong()
        said.append(str(caught.value).replace(first.workspace.store.address, "STORE"))
    assert "\n".join(said) == snapshot


def test_an_element_of_a_mapped_step(runs):
    turnout.promote(runs[0], "half.1", "second")
    found = turnout.artifact("second")
    assert (found.load(), found.label) == (1.0, "half.1")


def test_a_damaged_artifact_is_not_promoted(runs):
    first, second = runs
    digest = second["rows"].outputs["output"].digests[0]
    store = first.workspace.store
    file = next(Path(store.local_path(entry.key)) for entry in store.list(layout.artifact(digest) + "/files"))
    kept = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(kept[:-1])
    try:
        with pytest.raises(ArtifactError, match="damaged"):
            turnout.promote(second, "rows", "champion")
    finally:
        file.write_bytes(kept)
    assert known.current(first.workspace) == ()


def test_to_another_stack(runs):
    first, _ = runs
    done = turnout.promote(first, "fit:model", "champion", to_stack="prod")
    assert done.alias.stack == "here"
    prod = Workspace(first.workspace.project, "prod")
    found = turnout.artifact("champion", stack="prod")
    assert found.load().depth == 2
    assert known.current(first.workspace) == ()
    assert turnout.runs(stack="prod") == []  # the run was not one of its own
    record = found.record
    assert record.inputs["rows"].digests == first["rows"].outputs["output"].digests
    copied = {entry.key.split("/")[1] for entry in prod.store.list("artifacts")}
    assert copied == {found.digest}
    steps = prod.store.children(layout.promoted("shop", first.id) + "/steps")
    assert list(steps) == ["fit", "rows"]
    turnout.promote(first, "fit:model", "champion", to_stack="prod")
    assert len(known.history(prod, "champion")) == 1


def test_the_other_stacks_policies_count(runs):
    with pytest.raises(PlanError, match="pickle"):
        turnout.promote(runs[0], "fit:model", "champion", to_stack="strict")
    assert not (Path.cwd() / "strict" / "artifacts").exists()
    turnout.promote(runs[0], "rows", "table", to_stack="strict")
    assert len(turnout.artifact("table", stack="strict").load()) == 3


def test_the_command_line(runs, capsys, snapshot):
    first, second = runs

    def said():
        text = "".join(capsys.readouterr()).replace(first.workspace.store.address, "STORE")
        digests = [run["fit"].outputs["model"].digests[0] for run in runs] + list(
            first["rows"].outputs["output"].digests
        )
        for digest, name in zip(digests, ("MODEL-0", "MODEL-1", "ROWS"), strict=True):
            text = text.replace(digest, name).replace(digest[:12], name)
        for number, run in enumerate(runs):
            text = text.replace(run.id, f"RUN-{number}")
        return re.sub(r"[0-9]{4}-[0-9-]{5} [0-9:]{8}", "TIME", text.replace(user(), "WHO"))

    call_here("artifacts", "aliases")
    call_here("promote", first.id, "fit:model", "--alias", "champion")
    call_here("promote", second.id, "fit:model", "-a", "champion")
    call_here("promote", second.id, "fit:model", "-a", "champion", "--to-stack", "prod")
    call_here("artifacts", "aliases")
    call_here("artifacts", "aliases", "champion")
    call_here("artifacts", "show", "champion")
    call_here("artifacts", "aliases", "nobody", code=2)
    call_here("artifacts", "show", "champion", "--from", "tracker", code=2)
    assert said() == snapshot
    turnout.promote(first, "fit:notes", "notes")
    call_here("artifacts", "load", "notes")
    assert said() == "{'rows': 3}\n"
    call_here("artifacts", "load", "champion", "--to", "out")
    files = first.artifacts.local_folder(turnout.artifact("champion").artifact).iterdir()
    assert {path.name for path in Path("out").iterdir()} == {".turnout-files.json", *(path.name for path in files)}
    shutil.rmtree("out")
    call_here("promote", first.id, "rows", "-a", "table", "--json")
    shown = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert (shown["name"], shown["run"], shown["step"], shown["registered"]) == ("table", first.id, "rows", None)


# A tracker with a registry


class Shelf(Tracker[TrackerConfig]):
    """A registry of models in memory."""

    name = "shelf"
    Config = TrackerConfig
    down: ClassVar[bool] = False
    begun: ClassVar[list[bool]] = []
    entries: ClassVar[dict[str, Registered]] = {}

    def begin(self, run, *, claimed):
        if Shelf.down:
            raise ConnectionError("nobody answers")
        Shelf.begun.append(claimed)
        return f"on the shelf: {run.id}"

    def log(self, batch):
        raise AssertionError

    def finish(self, run, external_id, state):
        raise AssertionError

    def register(self, promotion):
        if Shelf.down:
            raise ConnectionError("nobody answers")
        assert promotion.external_id == f"on the shelf: {promotion.run.id}"
        assert promotion.load().depth == promotion.run.params["depth"]
        assert promotion.metrics == {"loss": 0.5}
        assert list(promotion.files.iterdir())
        Shelf.entries[promotion.alias] = Registered(
            name=f"shelf:{promotion.alias}",
            run=promotion.run.id,
            step=promotion.step,
            output=promotion.output,
            digest=promotion.artifact.digest,
        )
        return f"shelf:{promotion.alias}"

    def resolve(self, project, alias):
        if Shelf.down:
            raise ConnectionError("nobody answers")
        return Shelf.entries.get(alias)


class Plugin:
    @hookimpl
    def turnout_trackers(self):
        return (Shelf,)


@pytest.fixture
def shelf(runs, monkeypatch):
    """Gives a workspace with a tracker that has a registry."""
    for name, value in (("down", False), ("begun", []), ("entries", {})):
        monkeypatch.setattr(Shelf, name, value)
    return lambda stack: Workspace(runs[0].workspace.project, stack, Registry([builtin, Plugin()]))


def test_a_registry_gets_the_alias_too(runs, shelf):
    place = shelf("shelf")
    done = turnout.promote(runs[0].id, "fit:model", "champion", workspace=place)
    assert (done.registered, done.problem) == ("shelf:champion", None)
    assert Shelf.begun == [True]
    turnout.promote(runs[0].id, "fit:model", "challenger", workspace=place)
    assert Shelf.begun == [True]  # the run is known there


def test_either_side_resolves_it(runs, shelf):
    place = shelf("shelf")
    turnout.promote(runs[0].id, "fit:model", "champion", workspace=place)
    second = Registered(
        name="shelf:champion",
        run=runs[1].id,
        step="fit",
        output="model",
        digest=runs[1]["fit"].outputs["model"].digests[0],
    )
    Shelf.entries |= {"champion": second, "only_there": second}  # someone clicked on it there
    assert turnout.artifact("champion", workspace=place).load().depth == 2
    found = turnout.artifact("champion", workspace=place, source="tracker")
    assert (found.load().depth, found.registered, found.alias) == (3, "shelf:champion", None)
    assert turnout.artifact("only_there", workspace=place).load().depth == 3
    with pytest.raises(ConfigError, match=r"no alias 'only_there' in .*store"):
        turnout.artifact("only_there", workspace=place, source="store")
    Shelf.entries["gone"] = msgspec.structs.replace(second, digest="0" * 64)
    with pytest.raises(ConfigError, match=r"000000000000, and .* has no such thing"):
        turnout.artifact("gone", workspace=place)
    with pytest.raises(ConfigError, match="or in the tracker shelf"):
        turnout.artifact("nobody", workspace=place)


def test_a_registry_that_is_down(runs, shelf):
    place = shelf("shelf")
    Shelf.down = True
    done = turnout.promote(runs[0].id, "fit:model", "champion", workspace=place)
    assert (done.registered, done.problem) == (None, "the tracker shelf failed: nobody answers")
    assert turnout.artifact("champion", workspace=place).load().depth == 2
    with pytest.raises(ConfigError, match="the tracker shelf cannot say what 'other' is: nobody answers"):
        turnout.artifact("other", workspace=place)
    Shelf.down = False
    turnout.promote(runs[0].id, "fit:model", "champion", workspace=place)
    assert set(Shelf.entries) == {"champion"}
    assert len(known.history(place, "champion")) == 1


def test_a_registry_that_is_required(runs, shelf):
    place = shelf("insists")
    Shelf.down = True
    with pytest.raises(TurnoutError, match="nothing was set"):
        turnout.promote(runs[0].id, "fit:model", "champion", workspace=place)
    assert known.current(place) == ()
    Shelf.down = False
    assert turnout.promote(runs[0].id, "fit:model", "champion", workspace=place).registered == "shelf:champion"
    assert len(known.current(place)) == 1


def test_the_other_stacks_registry_is_told(runs, shelf):
    done = turnout.promote(runs[0].id, "fit:model", "champion", workspace=shelf("here"), to_stack="away")
    assert done.registered == "shelf:champion"
    assert Shelf.begun == [False]
    away = shelf("away")
    assert turnout.artifact("champion", workspace=away, source="tracker").load().depth == 2
    assert away.store.children(layout.runs("shop")) == []
