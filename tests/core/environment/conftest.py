"""A package index of a few small wheels."""

from __future__ import annotations

from pathlib import Path

import pytest
from wheels import make_wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that stands in for a package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    make_wheel(folder, "tn_alpha", "1.0", ["tn-beta>=1"])
    make_wheel(folder, "tn_alpha", "2.0", ["tn-beta>=2"])
    make_wheel(folder, "tn_beta", "1.0")
    make_wheel(folder, "tn_beta", "2.0")
    make_wheel(folder, "tn_beta", "3.0")
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    return folder
