"""The settings of a step, checked where they are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import msgspec

from turnout.base.canonical import is_json
from turnout.base.errors import DefinitionError, Location, did_you_mean
from turnout.base.quantities import memory_bytes, plain_memory
from turnout.definition.durations import seconds
from turnout.model.spec import LONGEST_WAIT, Resources, Retry, StepSpec

_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
_UNSET = StepSpec(name="unset")
_NO_RETRY, _ANY_MACHINE = _UNSET.retry, _UNSET.resources  # the very defaults, which msgspec leaves out of JSON
NAMES = (
    "name", "retries", "retry_delay", "retry_backoff", "timeout", "resources", "requirements", "secrets", "env",
    "files", "cache", "profile", "options",
)  # fmt: skip


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the decorator says about how a step runs; see :class:`~turnout.model.spec.StepSpec`."""

    retry: Retry = _NO_RETRY
    timeout: float | None = None
    resources: Resources = _ANY_MACHINE
    requirements: tuple[str, ...] = ()
    secrets: dict[str, str] = {}
    env: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    cache: bool | float | None = None
    profile: bool = True
    options: dict[str, Any] = {}


def retry(retries: Any, delay: Any, backoff: Any, where: Location) -> Retry:
    """The policy of retries."""
    if retries is not None and (isinstance(retries, bool) or not isinstance(retries, int) or retries < 0):
        raise _wrong("retries", retries, "a whole number from 0", "retries=2", where)
    if isinstance(backoff, bool) or not isinstance(backoff, (int, float)) or not 1 <= backoff <= 100:
        raise _wrong("retry_backoff", backoff, "a factor from 1 to 100", "retry_backoff=2.0", where)
    wait = seconds(delay, "retry_delay", where, zero=True)
    found = Retry(count=retries or 0, delay=wait, backoff=float(backoff), never=retries == 0)
    if problem := too_long(found):
        raise DefinitionError(problem, where=where, fix="ask for fewer retries, or let the delay grow less")
    return _NO_RETRY if found == _NO_RETRY else found


def too_long(retry: Retry) -> str | None:
    """What is wrong with a policy of retries whose last delay is longer than any engine can wait, or None."""
    bearable = retry.wait(max(retry.count, 1)) < LONGEST_WAIT
    return None if bearable else "the delay before the last retry would be ten years or more"


def resources(given: Any, where: Location) -> Resources:
    """What a step needs of a machine."""
    if given is None:
        return _ANY_MACHINE
    if not isinstance(given, Resources):
        raise _wrong("resources", given, "a Resources", 'resources=Resources(cpu=2, memory="4Gi")', where)
    cpu, memory, gpu = given.cpu, given.memory, given.gpu
    if cpu is not None and (isinstance(cpu, bool) or not isinstance(cpu, (int, float)) or not 0 < cpu < 100_000):
        raise _wrong("cpu", cpu, "a number of cores above 0", "Resources(cpu=0.5)", where)
    if isinstance(memory, bool) or not _is_memory(memory):
        raise _wrong("memory", memory, "bytes, or a text with a unit", 'Resources(memory="4Gi")', where)
    if isinstance(gpu, bool) or not isinstance(gpu, int) or gpu < 0:
        raise _wrong("gpu", gpu, "a whole number from 0", "Resources(gpu=1)", where)
    if given.accelerator is not None and not isinstance(given.accelerator, str):
        raise _wrong("accelerator", given.accelerator, "a name", 'Resources(gpu=1, accelerator="nvidia-l4")', where)
    found = Resources(
        cpu=None if cpu is None else float(cpu), memory=plain_memory(memory), gpu=gpu, accelerator=given.accelerator
    )
    return _ANY_MACHINE if found == _ANY_MACHINE else found


def _is_memory(memory: Any) -> bool:
    try:
        return isinstance(memory, (int, str)) and memory_bytes(memory) >= 0
    except DefinitionError:
        return False


def requirements(given: Any, where: Location) -> tuple[str, ...]:
    """The requirements of one step's own environment."""
    texts = _texts("requirements", given, '["scikit-learn>=1.5"]', where)
    for text in texts:
        _check_requirement(text, where)
    return texts


def _check_requirement(text: str, where: Location) -> None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(text)
    except InvalidRequirement:
        raise DefinitionError(
            f"the requirement {text!r} cannot be read",
            where=where,
            fix='write it as pip takes it: requirements=["scikit-learn>=1.5"]',
        ) from None


def secrets(given: Any, where: Location) -> dict[str, str]:
    """Environment variables, and the names of the secrets they get."""
    example = 'secrets={"DB_PASSWORD": "warehouse"}'
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(k, str) and isinstance(v, str) for k, v in given.items()):
        raise DefinitionError(
            "secrets is an object: the environment variable, and the name of the secret it gets",
            where=where,
            fix=f"write {example}",
        )
    for variable, name in given.items():
        _check_variable(variable, where, example)
        if not name:
            raise DefinitionError(f"the secret of {variable} has no name", where=where, fix=f"write {example}")
    return dict(given)


def env(given: Any, where: Location) -> tuple[str, ...]:
    """The environment variables a step may read, each once."""
    variables = tuple(dict.fromkeys(_texts("env", given, '["REGION"]', where)))
    for variable in variables:
        _check_variable(variable, where, 'env=["REGION"]')
    return variables


def _check_variable(name: str, where: Location, example: str) -> None:
    if not _ENV.match(name):
        raise DefinitionError(
            f"{name!r} cannot be an environment variable",
            where=where,
            why="its name has letters, digits and underscores only, no digit first",
            fix=f"write {example}",
        )


def files(given: Any, where: Location) -> tuple[str, ...]:
    """The project's files a step reads, as patterns relative to the project's root."""
    patterns = _texts("files", given, '["sql/*.sql"]', where)
    for pattern in patterns:
        path = PurePosixPath(pattern)
        if path.is_absolute() or ".." in path.parts or "\\" in pattern or not pattern or pattern[1:2] == ":":
            raise DefinitionError(
                f"the file pattern {pattern!r} leaves the project",
                where=where,
                why="a worker has the project's files only",
                fix='write it relative to the project\'s root, with forward slashes: files=["sql/*.sql"]',
            )
    return patterns


def cache(given: Any, where: Location) -> bool | float | None:
    """The cache policy: yes, no, for so many seconds, or None for the default."""
    if given is None or isinstance(given, bool):
        return given
    return seconds(given, "cache", where)


def profile(given: Any, where: Location) -> bool:
    """Whether records say what tables are like."""
    if not isinstance(given, bool):
        raise _wrong("profile", given, "True or False", "profile=False", where)
    return given


def options(
    given: Any, keywords: Mapping[str, Any], what: str, known: tuple[str, ...], where: Location
) -> dict[str, Any]:
    """The options of engines: ``options={"airflow": {…}}``, or each as a keyword, ``airflow={…}``.

    Args:
        what: what has the options, for the message: ``@step``.
        known: the names of the settings that are no options.
    """
    if given is not None and not isinstance(given, Mapping):
        raise _wrong("options", given, "an object of objects", 'options={"airflow": {"pool": "gpu"}}', where)
    merged: dict[str, Any] = {}
    for source in (given or {}, keywords):
        for engine, values in source.items():
            if not isinstance(engine, str) or not isinstance(values, Mapping):
                guess = did_you_mean(str(engine), known)
                raise DefinitionError(
                    f"{what} has no setting {engine!r}. {guess}".rstrip(),
                    where=where,
                    why=f"its settings are {', '.join(known)}",
                    fix='write the options of an engine as an object: airflow={"pool": "gpu"}',
                )
            merged[engine] = {**merged.get(engine, {}), **values}
    if not is_json(merged):
        raise DefinitionError(
            f"the options of {what} are not JSON",
            where=where,
            why="they are kept in the plan",
            fix="use texts, finite numbers, bools, lists and objects only",
        )
    return merged


def _texts(name: str, given: Any, example: str, where: Location) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, str) or not isinstance(given, (list, tuple)) or not all(isinstance(t, str) for t in given):
        raise _wrong(name, given, "a list of texts", f"{name}={example}", where)
    return tuple(given)


def _wrong(name: str, given: Any, wanted: str, example: str, where: Location) -> DefinitionError:
    return DefinitionError(f"{name}={given!r} is not {wanted}", where=where, fix=f"write {example}")
