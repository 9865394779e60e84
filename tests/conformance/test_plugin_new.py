"""``turnout plugin new``: a package for each kind that installs, and whose tests pass at once."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from turnout import __version__
from turnout.base.errors import ConfigError
from turnout.cli.init import FILES, SAMPLE
from turnout.cli.plugin import plugin
from turnout.cli.scaffold import NewPlugin
from turnout.components.registry import KINDS

TURNOUT = str(Path(sys.executable).with_name("turnout"))
ROOT = Path(__file__).parents[2]
SOME = {
    # these suites take long, and the sample plugin, which is the same text, passes them whole
    "orchestrator": "capability_is_answered or described or bundles_are_data",
    "artifact_store": "created or taken or folder or listed or environment",
}


def new(*arguments: str) -> str:
    result = CliRunner().invoke(plugin, ["new", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def run(*command: str, cwd: Path, path: Path | None = None) -> str:
    environ = {**os.environ, **({"PYTHONPATH": str(path)} if path else {})}
    done = subprocess.run([sys.executable, *command], cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def texts(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def installed(folder: Path, name: str) -> Path:
    """The package as an installer lays it out: on the path, with its entry point beside it."""
    info = folder / "src" / f"turnout_{name.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: turnout-{name}\nVersion: 0.1.0\n")
    package = f"turnout_{name.replace('-', '_')}"
    (info / "entry_points.txt").write_text(f"[turnout]\n{name} = {package}\n")
    return folder / "src"


@pytest.mark.parametrize("kind", KINDS)
def test_its_tests_pass_at_once(kind, tmp_path):
    folder = tmp_path / "new"
    text = new("my-tool", "--kind", kind, "--to", str(folder))
    path = installed(folder, "my-tool")
    assert f"wrote {folder}/src/turnout_my_tool/{kind}.py\n" in text
    chosen = ["-k", SOME[kind]] if kind in SOME else []
    tests = run("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *chosen, cwd=folder, path=path)
    assert " passed" in tests
    listed = run(TURNOUT, "plugin", "list", cwd=folder, path=path)
    assert f"my-tool (turnout-my-tool 0.1.0)\n  {kind.replace('_', ' ')}: my-tool\n" in listed
    if (folder / "src/turnout_my_tool/stacks").is_dir():
        checked = run(TURNOUT, "stack", "check", "my-tool", cwd=folder, path=path)
        assert checked == "the stack is in order\n"


def test_it_is_installed_like_any_package(tmp_path):
    import uv

    new("ledger", "--kind", "tracker", "--to", str(tmp_path / "new"))
    command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--target"]
    environ = {**os.environ, "VIRTUAL_ENV": sys.prefix}
    target = [str(tmp_path / "site"), str(tmp_path / "new")]
    subprocess.run([*command, *target], env=environ, check=True)
    listed = run(TURNOUT, "plugin", "list", cwd=tmp_path, path=tmp_path / "site")
    assert "ledger (turnout-ledger 0.1.0)\n  tracker: ledger\n" in listed


def test_the_command_of_a_plugin_is_one_of_turnouts(tmp_path):
    new("hail", "--kind", "command", "--to", str(tmp_path / "new"))
    path = installed(tmp_path / "new", "hail")
    assert run(TURNOUT, "hail", "Ann", cwd=tmp_path, path=path) == "hello, Ann\n"
    assert "hail" in run(TURNOUT, "--help", cwd=tmp_path, path=path)


def test_a_wheel_has_the_samples_too(tmp_path):
    """Built from the source distribution, where nothing else of the repository is at hand."""
    import uv

    subprocess.run([uv.find_uv_bin(), "build", "--quiet", "--out-dir", str(tmp_path), str(ROOT / "core")], check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    new("ledger", "--kind", "tracker", "--to", str(tmp_path / "checkout"))
    command = [TURNOUT, "plugin", "new", "ledger", "--kind", "tracker", "--to", str(tmp_path / "wheel")]
    run(*command, cwd=tmp_path, path=tmp_path / "site")
    assert texts(tmp_path / "wheel") == texts(tmp_path / "checkout") == NewPlugin("ledger", "tracker").files()
    run(TURNOUT, "init", str(tmp_path / "first"), cwd=tmp_path, path=tmp_path / "site")
    assert texts(tmp_path / "first") == {path: (ROOT / SAMPLE / path).read_text() for path in FILES}


def test_the_sample_plugin_asks_for_this_version():
    version = ".".join(__version__.split(".")[:2])
    assert f'dependencies = ["turnout>={version}"]' in NewPlugin("ledger", "tracker").files()["pyproject.toml"]


def test_it_is_five_files_and_short():
    files = NewPlugin("ledger", "tracker").files()
    assert len(files) == 5
    assert sum(len(text.splitlines()) for name, text in files.items() if name.startswith("src/")) < 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("My_Tool", "--kind", "tracker"),
            (
                "'My_Tool' cannot name a plugin\n"
                "  why: it becomes a package, turnout-NAME, and the `type` in a stack\n"
                "  fix: use lower-case letters and digits, and '-' between words"
            ),
        ),
        (
            ("local", "--kind", "feature_store"),
            (
                "there is a feature store 'local' already, brought by turnout\n"
                "  fix: choose another name: of two of one name, neither can be used"
            ),
        ),
        (
            ("run", "--kind", "command"),
            (
                "there is a command 'run' already, brought by turnout\n"
                "  fix: choose another name: of two of one name, neither can be used"
            ),
        ),
        (("ledger", "--kind", "tracker"), "full is there already, and not empty\n  fix: give another folder: --to DIR"),
    ],
)
def test_what_cannot_be_written_is_refused(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(ConfigError) as caught:
        CliRunner().invoke(plugin, ["new", *arguments, "--to", "full"], catch_exceptions=False)
    assert str(caught.value) == message
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["file"]
