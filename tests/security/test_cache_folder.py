"""Code is unpacked to, and run from, a folder that nobody else can write to or put in its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from turnout.base import cache_folder as module
from turnout.base.cache_folder import cache_folder, is_private
from turnout.base.errors import ConfigError


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home, and a folder for temporary files as that of the system, in which others may have made anything."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    temporary.chmod(0o1777)
    monkeypatch.setattr(module.tempfile, "tempdir", str(temporary))
    for name in ("TURNOUT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    module._chosen.cache_clear()
    yield tmp_path / "home"
    module._chosen.cache_clear()


def unwritable(home: Path) -> None:
    home.rmdir()
    home.write_text("")


def planted(home: Path) -> Path:
    return home.parent / "tmp" / f"turnout-{os.geteuid()}"


def test_the_users_own(home):
    assert cache_folder() == home / ".cache" / "turnout"
    assert (home / ".cache" / "turnout").stat().st_mode & 0o777 == 0o700


def test_one_that_was_there(home):
    (home / ".cache" / "turnout").mkdir(parents=True, mode=0o755)
    assert cache_folder() == home / ".cache" / "turnout"


def test_a_link_of_ones_own_to_a_private_folder(home):
    (home / "scratch").mkdir(mode=0o700)
    (home / ".cache").mkdir()
    (home / ".cache" / "turnout").symlink_to(home / "scratch")
    assert cache_folder() == home / ".cache" / "turnout"


def test_without_a_home_a_private_folder_is_kept(home):
    unwritable(home)
    assert cache_folder() == planted(home)
    assert planted(home).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o722])
def test_a_folder_that_others_may_write_to_is_not_taken(home, mode):
    unwritable(home)
    planted(home).mkdir()
    planted(home).chmod(mode)
    (planted(home) / "code").mkdir()
    taken = cache_folder()
    assert taken != planted(home)
    assert taken.parent == home.parent / "tmp"
    assert taken.stat().st_mode & 0o777 == 0o700
    assert cache_folder() == taken


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_folder_of_someone_else_is_not_taken(home, kind):
    unwritable(home)
    if kind == "folder":
        planted(home).mkdir(mode=0o700)
    else:
        (home.parent / "own").mkdir(mode=0o700)
        planted(home).symlink_to(home.parent / "own")
    os.chown(planted(home), 12345, 12345, follow_symlinks=False)
    assert cache_folder() != planted(home)


def test_a_users_folder_that_others_may_write_to_is_not_taken(home):
    (home / ".cache" / "turnout").mkdir(parents=True)
    (home / ".cache" / "turnout").chmod(0o777)
    assert cache_folder() == planted(home)


def test_a_folder_in_one_where_others_may_replace_it_is_not_taken(home, monkeypatch):
    shared = home.parent / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared))
    assert cache_folder() == planted(home)
    module._chosen.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared / "deep"))
    assert cache_folder() == planted(home)


@pytest.mark.parametrize("value", ["relative", "", "/dev/null", "/proc/none"])
def test_odd_cache_homes(home, monkeypatch, value):
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert cache_folder() in (home / ".cache" / "turnout", planted(home))


def test_neither_a_home_nor_a_variable(home, monkeypatch):
    monkeypatch.setattr(module.os.path, "expanduser", lambda path: path)
    assert cache_folder() == planted(home)


def test_who_names_a_folder_answers_for_it(home, monkeypatch):
    monkeypatch.setenv("TURNOUT_CACHE", "/srv/cache")
    assert cache_folder() == Path("/srv/cache")


def test_what_is_private(tmp_path):
    assert is_private(tmp_path / "new")
    assert not is_private(Path("/dev/null"))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert not is_private(tmp_path / "loop")


@pytest.fixture
def named(home, monkeypatch):
    """A folder that the variable names, which is there."""
    folder = home / "named"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("TURNOUT_CACHE", str(folder))
    module._checked.cache_clear()
    yield folder
    module._checked.cache_clear()


def test_a_named_folder_is_made_private(named, monkeypatch):
    monkeypatch.setenv("TURNOUT_CACHE", str(named / "deep" / "er"))
    assert cache_folder() == named / "deep" / "er"
    assert cache_folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722])
def test_a_named_folder_that_others_may_write_to_is_refused(named, mode):
    named.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        cache_folder()
    assert f"can be written to by others (mode {mode:o})" in caught.value.what
    assert caught.value.fix == f"name one that turnout can make for you alone: TURNOUT_CACHE={named}/of-{os.geteuid()}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others, and shares folders out")
def test_a_named_folder_of_someone_else_is_refused_and_one_that_root_shares_out_is_not(named):
    named.chmod(0o1777)
    assert cache_folder() == named
    module._checked.cache_clear()
    os.chown(named, 65534, 65534)
    with pytest.raises(ConfigError, match=r"belongs to another user \(65534\)"):
        cache_folder()


def test_a_named_folder_that_cannot_be_made_is_left_to_who_writes_there(named, monkeypatch):
    (named / "file").write_text("")
    monkeypatch.setenv("TURNOUT_CACHE", str(named / "file" / "cache"))
    assert cache_folder() == named / "file" / "cache"
