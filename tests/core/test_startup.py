"""What starting turnout costs: the modules it imports, the packages it installs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from turnout.components import discovery
from turnout.components.registry import Registry

HEAVY = {
    "asyncio",
    "attrs",
    "cloudpickle",
    "fsspec",
    "importlib.metadata",
    "matplotlib",
    "numpy",
    "obstore",
    "packaging",
    "pandas",
    "pathspec",
    "pluggy",
    "psutil",
    "polars",
    "pyarrow",
    "rich",
    "sklearn",
    "sqlite3",
    "ssl",
    "urllib.request",
    "uv",
    "yaml",
}
BUDGET = 15

HELP = """
import sys
from turnout.cli import main
from turnout.components import discovery
discovery._registers = lambda path: False  # as if no other plugin were installed here
sys.argv = ['turnout', '--help']
main()
"""
RUNTIME = "from turnout.runtime.__main__ import main\nmain(['--help'])"
NAMES = "from turnout import pipeline, step, when, Features, File, LOGICAL_TIME, log_metric"
WORKER = "import turnout.runtime.session, turnout.runtime.step, turnout.runtime.server, turnout.stores.address"


def imported(code: str) -> set[str]:
    """The modules that a fresh interpreter has imported after *code*."""
    script = (
        f"try:\n    exec({code!r})\nexcept SystemExit:\n    pass\nimport sys\nprint('\\n', *sys.modules, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code", ["import turnout", HELP, RUNTIME, NAMES, WORKER], ids=["import", "help", "runtime", "names", "worker"]
)
def test_nothing_heavy_is_imported_before_it_is_needed(code):
    assert imported(code) & HEAVY == set()


def test_importing_turnout_imports_nothing_else_of_it():
    assert {name for name in imported("import turnout") if name.startswith("turnout")} == {"turnout"}


def test_the_command_sees_a_plugin_of_another_distribution(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "nowhere")])
    other = tmp_path / "other_one-1.dist-info"
    other.mkdir()
    (other / "entry_points.txt").write_text("[console_scripts]\nturnout = x:y\nmore = x:y\n")
    assert list(discovery.places()) == []
    own = tmp_path / "turnout-1.dist-info"
    own.mkdir()
    (own / "entry_points.txt").write_text("[turnout]\nturnout = turnout.builtin\n\n[other]\na = b\n")
    assert list(discovery.places()) == [("turnout", str(own))]
    (other / "entry_points.txt").write_text("[console_scripts]\nx = x:y\n\n[turnout]\nmine = mine.hooks\n")
    assert sorted(discovery.places()) == [("other-one", str(other)), ("turnout", str(own))]


def test_of_two_distributions_of_one_name_the_one_that_is_imported_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), str(tmp_path / "second")])
    for place in ("first", "second"):
        folder = tmp_path / place / "mine-1.dist-info"
        folder.mkdir(parents=True)
        (folder / "entry_points.txt").write_text(f"[turnout]\nmine = {place}.hooks\n")
    assert list(discovery.places()) == [("mine", str(tmp_path / "first" / "mine-1.dist-info"))]


def test_plugins_in_an_archive_are_found(tmp_path, monkeypatch):
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped-1.dist-info/METADATA", "Name: zipped\nVersion: 1\n")
        file.writestr("zipped-1.dist-info/entry_points.txt", "[turnout]\nzipped = zipped_hooks\n")
        file.writestr("zipped_hooks.py", "")
    monkeypatch.syspath_prepend(str(archive))
    assert ("", str(archive)) in discovery.places()
    assert ("zipped", "1") in {(plugin.name, plugin.version) for plugin in Registry.discover().plugins()}


def test_the_core_installs_no_more_packages_than_it_may():
    found, pending = set(), ["turnout"]
    while pending:
        name = canonicalize_name(pending.pop())
        if name in found:
            continue
        found.add(name)
        for line in distribution(name).requires or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                pending.append(needed.name)
    assert len(found) <= BUDGET, sorted(found)


def test_the_cores_requirements_have_no_upper_caps():
    for line in distribution("turnout").requires or ():
        needed = Requirement(line)
        assert not {one.operator for one in needed.specifier} - {">=", "!="}, line
