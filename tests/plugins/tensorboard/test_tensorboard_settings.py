"""The plugin where TensorBoard is not: it is found, its stack is right, and what is missing is named."""

from __future__ import annotations

import pytest
from projects import write_project

from turnout.base.errors import ConfigError, PluginError
from turnout.components.registry import discover
from turnout.project.project import load
from turnout.stack.find import load_stack
from turnout.testing.plans import sample_run
from turnout_tensorboard.tracker import TensorboardSettings, TensorboardTracker


def stack(folder, tracker):
    write_project(folder, {"stacks/it.yaml": f"extends: local\ntracker: {tracker}\n"})
    return load_stack("it", load(folder), discover(), {})


def test_the_plugin_is_found(tmp_path):
    assert discover().get("tracker", "tensorboard") is TensorboardTracker
    worker = stack(tmp_path, "{type: tensorboard, folder: board, required: true}").worker()
    assert worker.tracker.config == {"folder": "board", "required": True}


def test_the_folder_must_be_named(tmp_path):
    with pytest.raises(ConfigError, match="tracker 'tensorboard' needs the setting 'folder'"):
        stack(tmp_path, "{type: tensorboard}")


def test_where_tensorboard_is_missing_the_fix_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("turnout_tensorboard.tracker.find_spec", lambda name: None)
    with pytest.raises(PluginError) as caught:
        TensorboardTracker(TensorboardSettings(folder=str(tmp_path))).begin(sample_run(), claimed=True)
    assert str(caught.value).splitlines() == [
        "TensorBoard is not installed where this step runs",
        "  fix: pip install 'turnout-tensorboard[tensorboard]'",
    ]
