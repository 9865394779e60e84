"""The tracker ``tensorboard``, read back with TensorBoard's own reader."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from installed import need

need("tensorboard", "2.18")

from turnout.testing.plans import sample_run  # noqa: E402
from turnout.testing.tracker import Tracked, TrackerSuite, Unreachable, _batch  # noqa: E402
from turnout_tensorboard.tracker import TensorboardSettings, TensorboardTracker  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # TensorBoard's own


def readers(folder: Path):
    """TensorBoard's reader of each folder with event files, all points kept, by the folder's path."""
    from tensorboard.backend.event_processing.event_accumulator import TENSORS, EventAccumulator

    for file in sorted(path.parent for path in folder.rglob("events.out.tfevents*.1.*")):
        yield file.relative_to(folder).as_posix(), EventAccumulator(str(file), size_guidance={TENSORS: 0}).Reload()


def read_run(folder: Path) -> Tracked:
    from tensorboard.util.tensor_util import make_ndarray

    points, params, artifacts = {}, {}, {}
    for step, reader in readers(folder):
        for tag in reader.Tags()["tensors"]:
            plugin = reader.SummaryMetadata(tag).plugin_data.plugin_name
            values = [(one.step, make_ndarray(one.tensor_proto)) for one in reader.Tensors(tag)]
            if plugin == "scalars":
                points[f"{step}/{tag}"] = tuple((at, value.item()) for at, value in values)
            elif plugin == "text":
                params[f"{step}/{tag.removeprefix('params/')}"] = json.loads(values[-1][1].item())
    for file in sorted(folder.rglob("artifacts/*/**/*")):
        if file.is_file():
            step, _, rest = file.relative_to(folder).as_posix().partition("/artifacts/")
            name, _, path = rest.partition("/")
            artifacts.setdefault(f"{step}/{name}", {})[path] = file.read_bytes()
    state = json.loads((folder / "run.json").read_bytes()).get("state", "running")
    return Tracked(points=points, params=params, artifacts=artifacts, state=state)


class TestTensorboard(TrackerSuite):
    @pytest.fixture
    def tracker(self, tmp_path: Path) -> TensorboardTracker:
        return TensorboardTracker(TensorboardSettings(folder=str(tmp_path / "board")))

    @pytest.fixture
    def read_back(self, tracker: TensorboardTracker) -> Callable[[str], Tracked]:
        return lambda external: read_run(Path(tracker.config.folder, external))

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> Unreachable:
        (tmp_path / "file").touch()
        settings = TensorboardSettings(folder=str(tmp_path / "file" / "board"))
        return Unreachable(TensorboardTracker(settings), secret="hunter2")


def test_a_figure_is_an_image_and_parameters_are_hparams(tmp_path: Path) -> None:
    from matplotlib.figure import Figure
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata
    from tensorboard.util.tensor_util import make_ndarray

    tracker, run = TensorboardTracker(TensorboardSettings(folder=str(tmp_path / "board"))), sample_run()
    external = tracker.begin(run, claimed=True)
    (tmp_path / "figure").mkdir()
    figure = Figure(figsize=(2, 1), dpi=50)
    figure.subplots().plot([1, 2])
    figure.savefig(tmp_path / "figure" / "figure.png")
    tracker.log(_batch(run, external, artifacts={"curve": tmp_path / "figure"}))
    tracker.finish(run, external, "succeeded")

    folder = tmp_path / "board" / external
    ((_, reader),) = readers(folder)
    (event,) = reader.Tensors("curve")
    width, height, png = make_ndarray(event.tensor_proto).tolist()
    assert (width, height) == (b"100", b"50")
    assert png == (tmp_path / "figure" / "figure.png").read_bytes()

    session = EventAccumulator(str(folder)).Reload()
    found = session.PluginTagToContent(metadata.PLUGIN_NAME)
    start = metadata.parse_session_start_info_plugin_data(found[metadata.SESSION_START_INFO_TAG])
    end = metadata.parse_session_end_info_plugin_data(found[metadata.SESSION_END_INFO_TAG])
    assert {name: value.number_value for name, value in start.hparams.items()} == {"depth": 6.0}
    assert end.status == 1
