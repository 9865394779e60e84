"""An endpoint tried before it is served: it answers stored rows, in its locked environment, as the run did."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from turnout.artifacts.blobs import entries
from turnout.base import canonical, context
from turnout.base.errors import DeployError, RunError, TurnoutError
from turnout.components.artifact_store import ArtifactStore
from turnout.materializers.sameness import TOLERANCE
from turnout.model.endpoint_plan import EndpointPlan, decode
from turnout.model.records import Manifest
from turnout.runtime import sealed
from turnout.runtime.failures import traceback_of
from turnout.runtime.store import worker_store
from turnout.serving.answers import plain
from turnout.serving.interpreter import interpreter_for
from turnout.serving.service import Service

PATIENCE = 600.0
"""Seconds that answering a few stored rows may take, all loading included."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What a step made of stored rows, against what it made of them in the run.

    ``difference`` is the largest between two numbers. ``differing`` counts the rows that differ beyond the tolerance of
    floats (1e-9 of them, 1e-5 of those with four bytes); ``example`` shows the first of these.
    """

    step: str
    rows: int
    difference: float = 0.0
    differing: int = 0
    example: str = ""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """How an endpoint answered stored rows: how many (0 where there are none to be had), and each comparison.

    ``refused`` says why it cannot be served, and what to do; ``trace`` is the traceback, where a step raised.
    """

    rows: int = 0
    compared: tuple[Compared, ...] = ()
    refused: tuple[str, str, str] | None = None
    trace: str = ""


def try_out(plan: EndpointPlan, store: ArtifactStore[Any]) -> Trial:
    """Try an endpoint in its locked environment, in a process of its own.

    Raises:
        DeployError: when it cannot answer stored rows, or changes what requests share.
        PlanError: when its environment cannot be made here.
    """
    interpreter = interpreter_for(plan, store, ())
    with tempfile.TemporaryDirectory(prefix="turnout-trial-") as name:
        folder = Path(name)
        (folder / "plan.json").write_bytes(plan.encode())
        command = [interpreter, "-m", "turnout.serving", "trial", name]
        environ = {**os.environ, **sealed.environment(1), context.WORKER: "1", **store.environment()}
        try:
            done = subprocess.run(command, env=environ, capture_output=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            raise DeployError(
                f"the endpoint {plan.name} did not answer stored rows within {PATIENCE:g} s",
                fix="see what its steps wait for",
            ) from None
        try:
            trial = msgspec.json.decode((folder / "trial.json").read_bytes(), type=Trial)
        except (FileNotFoundError, *canonical.UNREADABLE):
            why = f"its process ended with {done.returncode}"
            trial = Trial(refused=(f"the endpoint {plan.name} ended while it was tried on stored rows", why, ""))
        if trial.refused is not None:
            print(trial.trace, end="", file=sys.stderr)
            what, why, fix = trial.refused
            raise DeployError(what, why=why or None, fix=fix or None)
        return trial


def check(trial: Trial, plan: EndpointPlan) -> None:
    """Refuse an endpoint that answers stored rows otherwise than the run did.

    Raises:
        DeployError: naming the first step that does.
    """
    for compared in trial.compared:
        if compared.differing:
            raise DeployError(
                f"the endpoint {plan.name} answers otherwise than the run {plan.run}: {compared.step} differs in "
                f"{compared.differing} of {compared.rows} rows",
                where=plan.where,
                why=f"{compared.example}; there the step was given the whole table",
                fix="let each row's answer depend on that row alone, or accept it: --accept answers",
            )


def main(folder: str) -> int:
    """Try the plan that lies in *folder*, and write there what came of it."""
    place = Path(folder)
    plan = decode((place / "plan.json").read_bytes())
    with tempfile.TemporaryDirectory(prefix="turnout-") as work:
        service = Service(plan, worker_store(), Path(work))
        try:
            service.load()
            trial = tried(service)
        except BaseException as error:
            hide = service.components.redactor.text
            given = error if isinstance(error, TurnoutError) else RunError(f"{type(error).__name__}: {error}")
            why = (hide(given.what), hide(given.why or ""), hide(given.fix or ""))
            trial = Trial(refused=why, trace=hide(traceback_of(error, service.code.imported_from)))
    (place / "trial.json").write_bytes(canonical.encode(trial))
    return 0


def tried(service: Service) -> Trial:
    """Answer stored rows; see that what is shared stays as it is, and compare with the run.

    Raises:
        RunError: when they cannot be answered, or answering them changes what requests share.
    """
    before = _digests(service)
    rows, made = service.answer_stored()
    after = _digests(service)
    if changed := [name for name, digest in before.items() if after[name] != digest]:
        raise RunError(
            f"answering changes {', '.join(changed)}, which all requests of {service.plan.name} share",
            why="an answer would depend on the requests before it",
            fix="copy it in the step before it is changed",
        )
    return Trial(rows=rows, compared=tuple(_compared(service, made, rows)))


def _digests(service: Service) -> dict[str, str]:
    """The digests that the bound objects have when they are saved now."""
    found = {}
    for (step, output), value in service.bound.items():
        artifact = service.plan.bound[step, output].artifact
        with tempfile.TemporaryDirectory(dir=service.artifacts.work) as folder:
            service.artifacts.materializers.named(artifact.materializer).save(value, Path(folder))
            files = tuple(entries(Path(folder)))
        manifest = Manifest(materializer=artifact.materializer, type=artifact.type, files=files)
        found[f"{step}:{output}"] = manifest.digest
    return found


def _compared(service: Service, made: dict[tuple[str, str], Any], rows: int) -> Iterator[Compared]:
    """Each output that the run has, too, where it has a value for each row."""
    types = {(step.name, one.name): one.type for step in service.plan.steps for one in step.outputs}
    for expected in service.plan.expected:
        key = (expected.step, expected.output)
        if key not in made or not rows:
            continue
        if expected.artifact is None:
            theirs: Any = [service.artifacts.load(element) for element in expected.elements]
        else:
            theirs = service.artifacts.load(expected.artifact, types[key])
        ours, width, theirs = plain(made[key]), _width(theirs), plain(theirs)
        if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == rows <= len(theirs):
            yield compare(expected.step, ours, theirs[:rows], TOLERANCE[width])


def compare(step: str, ours: list[Any], theirs: list[Any], tolerance: float = TOLERANCE[8]) -> Compared:
    """Compare two lists of values, one for each row."""
    largest, differing, example = 0.0, 0, ""
    for n, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        difference = _difference(one, other, tolerance)
        largest = max(largest, abs(difference)) if math.isfinite(difference) else largest
        if difference < 0 or math.isinf(difference):
            differing += 1
            example = example or f"row {n} gives {_shown(one)}, and gave {_shown(other)} in the run"
    return Compared(step=step, rows=len(ours), difference=largest, differing=differing, example=example)


def _difference(one: Any, other: Any, tolerance: float) -> float:
    """How much two values differ: negative where that is beyond the tolerance, infinite where it is no number."""
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return 0.0 if one is other else math.inf
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        if one == other or (math.isnan(one) and math.isnan(other)):
            return 0.0
        difference = abs(float(one) - float(other))
        if math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance / 1000):
            return difference
        return -difference if math.isfinite(difference) else math.inf
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        parts = [_difference(one[name], other[name], tolerance) for name in one]
    elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        parts = [_difference(a, b, tolerance) for a, b in zip(one, other, strict=True)]
    else:
        return 0.0 if type(one) is type(other) and one == other else math.inf
    if any(math.isinf(part) for part in parts):
        return math.inf
    beyond = min(parts, default=0.0)
    return beyond if beyond < 0 else max(parts, default=0.0)


def _width(value: Any) -> int:
    """The bytes of the narrowest floats of an array, a series or a frame of pandas; eight where none is told."""
    dtypes: Any = getattr(value, "dtypes", getattr(value, "dtype", None))
    found: list[Any] = list(dtypes) if hasattr(dtypes, "__iter__") else [dtypes]
    widths = [one.itemsize for one in found if getattr(one, "kind", "") == "f" and hasattr(one, "itemsize")]
    return min((width for width in widths if width in TOLERANCE), default=8)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
