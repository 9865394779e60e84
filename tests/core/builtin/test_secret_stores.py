"""Secrets from the environment and from files."""

import pytest

from turnout.base.errors import ConfigError
from turnout.builtin.secrets_from_environment import EnvironmentSecrets, EnvironmentSettings
from turnout.builtin.secrets_from_files import FileSecrets, FileSettings


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "secrets"
    folder.mkdir()
    return folder, FileSecrets(FileSettings(folder=str(folder)))


def test_a_variable_is_taken_by_its_exact_name(monkeypatch):
    monkeypatch.setenv("warehouse", "hush")
    monkeypatch.setenv("MLWAREHOUSE", "prefixed")
    monkeypatch.setenv("EMPTY", "")
    store = EnvironmentSecrets(EnvironmentSettings())
    assert store.get("warehouse") == "hush"
    assert store.get("WAREHOUSE") is None
    assert store.get("EMPTY") == ""
    assert store.get("no\0name") is None
    assert store.hint("warehouse") == "the environment variable warehouse"
    prefixed = EnvironmentSecrets(EnvironmentSettings(prefix="ML"))
    assert prefixed.get("WAREHOUSE") == "prefixed"
    assert prefixed.hint("WAREHOUSE") == "the environment variable MLWAREHOUSE"


@pytest.mark.parametrize(
    ("content", "value"), [("hush", "hush"), ("hush\n", "hush"), ("hush\r\n", "hush"), ("a\n\n", "a\n"), ("", "")]
)
def test_a_file_loses_one_line_feed_at_its_end(files, content, value):
    folder, store = files
    (folder / "db").write_bytes(content.encode())
    assert store.get("db") == value


def test_a_secret_that_is_not_there_is_none(files):
    folder, store = files
    (folder / "db").write_text("x")
    assert store.get("other") is None
    assert store.get("db/below") is None
    assert store.hint("db") == f"the file {folder / 'db'}"


def test_the_links_of_a_mounted_secret_are_followed_within_the_folder(files):
    folder, store = files
    (folder / "..2026").mkdir()
    (folder / "..2026" / "db").write_text("hush\n")
    (folder / "..data").symlink_to("..2026")
    (folder / "db").symlink_to("..data/db")
    (folder / "s3").mkdir()
    (folder / "s3" / "key").write_text("deep")
    assert store.get("db") == "hush"
    assert store.get("s3/key") == "deep"


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../outside", "", ".hidden", "a//b", "a\0b", "a\n"])
def test_a_name_cannot_leave_the_folder(files, tmp_path, name):
    _, store = files
    (tmp_path / "outside").write_text("hush")
    with pytest.raises(ConfigError, match="cannot be a file of"):
        store.get(name)


def test_a_link_cannot_leave_the_folder(files, tmp_path):
    folder, store = files
    (tmp_path / "outside").write_text("hush")
    (folder / "db").symlink_to(tmp_path / "outside")
    with pytest.raises(ConfigError, match="leads out of") as caught:
        store.get("db")
    assert "hush" not in str(caught.value)


def test_links_in_a_circle_are_an_error(files):
    folder, store = files
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    with pytest.raises(ConfigError, match="cannot be read"):
        store.get("a")


def test_a_file_that_is_no_text_is_an_error_without_its_content(files):
    folder, store = files
    (folder / "db").write_bytes(b"\xffhush")
    with pytest.raises(ConfigError, match="is not UTF-8 text") as caught:
        store.get("db")
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None
    (folder / "folder").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        store.get("folder")
