"""The tracker ``specimen``: what steps log, as files in a folder. Replace the files by calls of your tool."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec

from turnout.plugin_api import Batch, RunInfo, RunState, Tracker, TrackerConfig, encode


class SpecimenSettings(TrackerConfig, frozen=True):
    """Settings of the tracker ``specimen``."""

    folder: Annotated[str, msgspec.Meta(description="The folder of runs, as workers see it.")]


class SpecimenTracker(Tracker[SpecimenSettings]):
    """Keeps each attempt at a step in a file of its own, so that workers never write to the same one."""

    name = "specimen"
    Config = SpecimenSettings

    def begin(self, run: RunInfo, *, claimed: bool) -> str:
        self._write(run.id, "run.json", {"pipeline": run.pipeline, "params": run.params})
        return run.id

    def log(self, batch: Batch) -> None:
        step = batch.step if batch.index is None else f"{batch.step}/{batch.index}"
        attempt = f"attempts/{quote(step, safe='')}.{batch.attempt}.json"
        known = self._read(batch.external_id, attempt) or {"step": step, "points": {}, "params": {}}
        # the sequence names a point: sending one again replaces it by itself
        known["points"].update({str(p.sequence): [p.name, p.x, p.value] for p in batch.points})
        known["params"].update(batch.params)
        self._write(batch.external_id, attempt, known)
        for name, path in batch.artifacts.items():
            target = Path(self.config.folder, batch.external_id, "artifacts", quote(f"{step}/{name}", safe=""))
            target.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, target, dirs_exist_ok=True)
            else:
                shutil.copyfile(path, target / path.name)

    def finish(self, run: RunInfo, external_id: str, state: RunState) -> None:
        self._write(external_id, "state.json", state)

    def _read(self, run: str, name: str) -> Any:
        path = Path(self.config.folder, run, name)
        return json.loads(path.read_bytes()) if path.exists() else None

    def _write(self, run: str, name: str, document: Any) -> None:
        path = Path(self.config.folder, run, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(document))
