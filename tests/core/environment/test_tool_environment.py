"""An environment for a tool that cannot share the project's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from turnout.base.errors import PlanError
from turnout.environment.tool import tool_environment


def test_it_holds_the_tool_is_resolved_once_and_made_again_where_the_requirements_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TURNOUT_CACHE", str(tmp_path / "cache"))
    python = tool_environment("Beta", ["tn-alpha>=1", "tn-beta<3"], own=())
    shown = subprocess.run(
        [python, "-c", "import tn_alpha, tn_beta; print(tn_alpha.version, tn_beta.version)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "2.0 2.0\n"
    assert capsys.readouterr().err == "turnout: making an environment for Beta, once\n"
    for wheel in index.glob("*.whl"):
        wheel.unlink()
    assert tool_environment("Beta", ["tn-beta<3", "tn-alpha>=1"], own=()) == python
    assert capsys.readouterr().err == ""
    with pytest.raises(PlanError, match=r"no environment can be made for Beta: .*the environment cannot be locked"):
        tool_environment("Beta", ["tn-alpha<2"], own=())


def test_its_packages_come_from_the_index_that_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: Path
) -> None:
    monkeypatch.setenv("TURNOUT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("UV_FIND_LINKS")
    python = tool_environment("Alpha", ["tn-alpha>=1"], own=(), index=lambda: {"UV_FIND_LINKS": str(index)})
    subprocess.run([python, "-c", "import tn_alpha"], check=True)
