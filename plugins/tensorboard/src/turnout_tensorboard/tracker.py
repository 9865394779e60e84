"""The tracker ``tensorboard``: what steps log, as event files in a folder that TensorBoard is pointed at."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import msgspec

from turnout.plugin_api import (
    Batch,
    PluginError,
    RunError,
    RunInfo,
    RunState,
    Tracker,
    TrackerConfig,
    encode,
    parse_time,
)
from turnout_tensorboard import events

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

_FILE = "events.out.tfevents"


class TensorboardSettings(TrackerConfig, frozen=True):
    """Settings of the tracker ``tensorboard``."""

    folder: Annotated[str, msgspec.Meta(description="The folder of event files, as workers see it.")]


class TensorboardTracker(Tracker[TensorboardSettings]):
    """A folder a run, within it one a step, within that an event file an attempt, written anew with each batch.

    What an attempt has logged so far is kept beside its event file, so that a second sending changes nothing.
    """

    name = "tensorboard"
    Config = TensorboardSettings

    def begin(self, run: RunInfo, *, claimed: bool) -> str:
        external = "/".join(quote(part, safe="") for part in (run.project, run.pipeline, run.id))
        params = {
            name: value if isinstance(value, (bool, str)) else _number(value)
            for name, value in run.plain_params.items()
        }
        with self._writing(f"to begin the run {run.id}") as root:
            folder = root / external
            events.write(folder / f"{_FILE}.0.run", [events.begun(params, run.id, _seconds(run.created))])
            _replace(folder / "run.json", encode(run))
        return external

    def log(self, batch: Batch) -> None:
        parts = [batch.step] if batch.index is None else [batch.step, str(batch.index)]
        label = "/".join(quote(part, safe="") for part in parts)
        with self._writing(f"to take what {label} logged") as root:
            folder = root / batch.external_id / label
            kept = folder / f".{quote(batch.attempt, safe='')}.json"
            known = json.loads(kept.read_bytes()) if kept.exists() else {"points": {}, "params": {}, "artifacts": []}
            for point in batch.held:
                step = point.sequence if point.x is None else point.x
                known["points"][str(point.sequence)] = [point.name, point.value, step, point.time]
            known["params"].update(batch.params)
            for name, path in batch.artifacts.items():
                target = folder / "artifacts" / _quoted(name)
                (shutil.copytree if path.is_dir() else _copy)(path, target, dirs_exist_ok=True)
                known["artifacts"] = sorted({*known["artifacts"], name})
            _replace(kept, encode(known))
            file = f"{_FILE}.1.{quote(batch.attempt, safe='')}"
            events.write(folder / file, _events(known, folder, _seconds(batch.run.created)))
        batch.refuse_rest("TensorBoard")

    def finish(self, run: RunInfo, external_id: str, state: RunState) -> None:
        with self._writing(f"to finish the run {run.id}") as root:
            folder = root / external_id
            known = json.loads((folder / "run.json").read_bytes())
            end = events.ended(state == "succeeded", _seconds(run.created))
            events.write(folder / f"{_FILE}.2.end", [end])
            _replace(folder / "run.json", encode({**known, "state": state}))

    @contextmanager
    def _writing(self, doing: str) -> Iterator[Path]:
        if find_spec("tensorboard") is None:
            fix = "pip install 'turnout-tensorboard[tensorboard]'"
            raise PluginError("TensorBoard is not installed where this step runs", fix=fix)
        try:
            yield Path(self.config.folder)
        except OSError as error:
            raise RunError(
                f"the folder {self.config.folder} failed {doing}: {error}", fix="see that workers may write there"
            ) from error


def _events(known: dict[str, Any], folder: Path, created: float) -> Iterator[Event]:
    for _, (tag, value, step, time) in sorted(known["points"].items(), key=lambda one: int(one[0])):
        yield events.scalar(tag, float(value), step, _seconds(time))
    for name, value in sorted(known["params"].items()):
        yield events.text(f"params/{name}", encode(value).decode(), created)
    for name in known["artifacts"]:
        target = folder / "artifacts" / _quoted(name)
        for file in sorted(path for path in target.rglob("*") if path.suffix == ".png"):
            picture = events.image(name, file.read_bytes(), created)
            if picture is not None:
                yield picture


def _quoted(name: str) -> str:
    """What a user called an artifact, as the name of one folder."""
    return quote(name, safe=" ").replace(".", "%2E") if name in {".", ".."} else quote(name, safe=" ")


def _copy(path: Path, target: Path, *, dirs_exist_ok: bool) -> None:
    target.mkdir(parents=True, exist_ok=dirs_exist_ok)
    shutil.copyfile(path, target / path.name)


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(data)
    partial.replace(path)


def _number(value: Any) -> float | str:
    """A value as the HParams dashboard takes it: numbers that a float holds, everything else as JSON."""
    if isinstance(value, (int, float)) and abs(value) <= 2**53:
        return value
    return encode(value).decode()


def _seconds(time: str) -> float:
    return parse_time(time).timestamp()
