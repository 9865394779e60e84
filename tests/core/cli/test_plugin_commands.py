"""Broken plugins, from end to end: each is named with its fix, and every other command goes on working."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TURNOUT = str(Path(sys.executable).with_name("turnout"))

PIPELINE = """\
from turnout import pipeline, step


@step
def one() -> int:
    return 1


@pipeline
def simple():
    one()
"""

GOOD = """\
from typing import Annotated

import msgspec
from turnout.plugin_api import Config, Tracker, hookimpl


class Settings(Config, frozen=True):
    uri: Annotated[str, msgspec.Meta(description="Where.")]


class Good(Tracker[Settings]):
    name = "good"
    Config = Settings

    def begin(self, run, *, claimed):
        return "1"

    def log(self, batch):
        pass

    def finish(self, run, external_id, state):
        pass


@hookimpl
def turnout_trackers():
    return (Good,)
"""


ALONE = """\
from turnout.components import discovery

places = discovery.places
discovery.places = lambda: (one for one in places() if one[0] in {"turnout", "turnout-pluto"})

from turnout.cli import main

main()
"""
"""The command where no other plugin is installed: the doctor imports each in processes of their own."""


class Site:
    """A folder of installed plugins, and a project to use them in."""

    def __init__(self, folder: Path) -> None:
        self.packages = folder / "site"
        self.packages.mkdir()
        self.project = folder / "project"
        (self.project / "stacks").mkdir(parents=True)
        (self.project / "pyproject.toml").write_text("[project]\nname = 'plugged'\nversion = '1'\ndependencies = []\n")
        (self.project / "simple.py").write_text(PIPELINE)

    def install(self, name: str, source: str, requires: tuple[str, ...] = ("turnout>=0.1",)) -> None:
        """Lay a plugin of one module out as an installer does."""
        (self.packages / f"turnout_{name}.py").write_text(source)
        info = self.packages / f"turnout_{name}-1.0.dist-info"
        info.mkdir()
        needs = "".join(f"Requires-Dist: {text}\n" for text in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: turnout-{name}\nVersion: 1.0\n{needs}")
        (info / "entry_points.txt").write_text(f"[turnout]\n{name} = turnout_{name}\n")

    def stack(self, name: str, text: str) -> None:
        (self.project / "stacks" / f"{name}.yaml").write_text(f"extends: local\n{text}\n")

    def call(self, *arguments: str, exits: int = 0, alone: bool = False) -> str:
        environ = {**os.environ, "PYTHONPATH": str(self.packages), "TURNOUT_CACHE": str(self.project / ".cache")}
        environ.pop("TURNOUT_STACK", None)
        done = subprocess.run(
            [*([sys.executable, "-c", ALONE] if alone else [TURNOUT]), *arguments],
            cwd=self.project,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == exits, done.stdout + done.stderr
        return done.stdout + done.stderr

    def findings(self, *arguments: str, exits: int, alone: bool = True) -> list[dict[str, str]]:
        found = json.loads(self.call("plugin", "doctor", "--json", *arguments, exits=exits, alone=alone))
        # how long the other plugins take to import is for the machine to say: it may be busy
        return [one for one in found if one["plugin"] == "pluto" or "ms to import" not in one["what"]]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


BROKEN = {
    "import_error": (
        "import not_there_at_all\n",
        "it cannot be loaded: ModuleNotFoundError: No module named 'not_there_at_all' (turnout_pluto, line 1)",
        "install a version of turnout-pluto that works, or uninstall it",
    ),
    "wrong_base": (
        GOOD.replace("Tracker[Settings]", "dict").replace('"good"', '"pluto"'),
        "turnout_pluto.Good is not a subclass of turnout.plugin_api.Tracker",
        "install a version of turnout-pluto that works, or uninstall it",
    ),
    "duplicate_name": (
        GOOD.replace('"good"', '"none"'),
        "its tracker 'none' is also brought by turnout",
        "uninstall all but one of turnout, turnout-pluto",
    ),
    "hook_fails": (
        "from turnout.plugin_api import hookimpl\n\n@hookimpl\ndef turnout_trackers():\n    raise OSError('no luck')\n",
        "its hook turnout_trackers failed: OSError: no luck (turnout_pluto, line 5)",
        "install a version of turnout-pluto that works, or uninstall it",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_named_with_its_fix(site, case):
    source, cause, fix = BROKEN[case]
    site.install("pluto", source)
    assert f"  problem: {cause}\n    fix: {fix}\n" in site.call("plugin", "list")
    assert {"level": "error", "plugin": "pluto", "what": cause, "fix": fix} in site.findings(exits=2)
    assert f"error: pluto: {cause}\n  fix: {fix}\n" in site.call("plugin", "doctor", exits=2, alone=True)


@pytest.mark.parametrize("case", [case for case in BROKEN if case != "duplicate_name"])
def test_other_commands_go_on_working(site, case):
    site.install("pluto", BROKEN[case][0])
    assert "Commands:" in site.call("--help")
    assert "local\t*\tbuilt in\n" in site.call("stack", "list")
    assert "the plugin 'pluto' of turnout-pluto: " in site.call("stack", "check")
    assert "simple" in site.call("explain", "simple.py")
    site.call("run", "simple.py")
    assert "simple" in site.call("runs", "list")


def test_a_duplicate_breaks_what_uses_the_name_and_nothing_else(site):
    site.install("pluto", GOOD.replace('"good"', '"none"'))
    text = site.call("run", "simple.py", exits=2)
    assert "the tracker 'none' cannot be used" in text
    assert "fix: uninstall all but one of turnout, turnout-pluto" in text
    assert "local\t*\tbuilt in\n" in site.call("stack", "list")


def test_an_unknown_setting_is_named_by_its_line(site):
    site.install("pluto", GOOD)
    site.stack("prod", "tracker: {type: good, url: here}")
    text = site.call("run", "simple.py", "--stack", "prod", exits=2)
    assert "stacks/prod.yaml:2: unknown setting 'url' of tracker 'good'. Did you mean 'uri'?" in text
    site.call("run", "simple.py")


def test_the_doctor_finds_what_a_stack_names_and_nobody_brings(site):
    site.stack("prod", "deployer: {type: seldn}")
    assert site.findings("--stack", "prod", exits=2, alone=False) == [
        {
            "level": "error",
            "plugin": "seldn",
            "what": "stacks/prod.yaml:2: unknown deployer 'seldn'. Did you mean 'seldon'?",
        }
    ]
    assert site.findings(exits=0) == []


def test_the_doctor_reads_what_a_plugin_needs(site):
    needs = ("turnout>=99", "msgspec>=0.1", "not-there-at-all>=2 ; python_version >= '3'", "nor-this ; extra == 'x'")
    site.install("pluto", GOOD, needs)
    assert [(one["level"], one["what"], one["fix"]) for one in site.findings(exits=2)] == [
        (
            "error",
            "it needs turnout>=99, and this is turnout 0.1.0",
            "install a turnout-pluto for turnout 0.1.0, or that turnout: pip install 'turnout>=99'",
        ),
        (
            "error",
            "it needs not-there-at-all>=2, and it is not installed",
            "pip install 'not-there-at-all>=2'",
        ),
    ]


def test_the_doctor_wants_a_plugin_to_say_which_turnout_it_is_for(site):
    site.install("pluto", GOOD, ())
    (finding,) = site.findings(exits=0)
    assert finding == {
        "level": "warning",
        "plugin": "pluto",
        "what": "it does not say which turnout it is for",
        "fix": 'declare it: dependencies = ["turnout>=0.1"]',
    }


def test_the_doctor_sees_what_an_import_takes(site, tmp_path):
    (site.packages / "sometool.py").write_text("")
    eager = f"import time, sometool\ntime.sleep(0.2)\nopen({str(tmp_path / 'left')!r}, 'w').close()\n"
    site.install("pluto", eager + GOOD)
    imports, writes, slow = sorted(finding["what"] for finding in site.findings(exits=0))
    assert imports == "it imports sometool whenever turnout asks for its components"
    assert writes == f"it writes to {tmp_path / 'left'} while it is imported"
    assert slow.startswith("its modules take ")
    assert slow.endswith(" ms to import, more than 50")


def test_the_doctor_is_content_with_plugins_in_order(site):
    """All that are installed here."""
    site.install("pluto", GOOD)
    assert site.findings(exits=0, alone=False) == []
    assert "pluto" not in site.call("plugin", "doctor", alone=True)
