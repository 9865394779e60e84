"""``bindings.lock``: which run's artifacts an endpoint's export serves, kept beside it, so that it stays what it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import yaml

from turnout.base.errors import ConfigError
from turnout.model.endpoint_plan import EndpointPlan

FILE = "bindings.lock"
_HEAD = """\
# What the endpoint {name} serves. Exports keep to it: `--check` holds the files to this, `--update` looks anew for
# the run that the definition asks for.
"""
_CANARY = """\
# It is a canary, with a share of the requests, beside the version that was live: `--share 1` promotes it.
"""


class Lock(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The run of an endpoint, how it was asked for (``latest``, an alias, its id), and each artifact's digest.

    ``given``: it was asked for by ``--run``, and not by the definition. With a ``share`` of less than 1 it is a
    canary beside the version that was exported before.
    """

    endpoint: str
    run: str
    asked: str
    artifacts: dict[str, str]
    given: bool = False
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0


def lock_of(plan: EndpointPlan, *, given: bool, share: float) -> Lock:
    """The lock of what a plan serves."""
    artifacts = {f"{one.step}:{one.output}": one.artifact.digest for one in plan.bindings}
    likes = {f"{one.name} is like": one.like.digest for one in plan.requests if one.like is not None}
    asked = next((one.asked for one in plan.bindings), plan.run)
    return Lock(
        endpoint=plan.name, run=plan.run, asked=asked, artifacts={**artifacts, **likes}, given=given, share=share
    )


def text(lock: Lock) -> bytes:
    """The file of a lock."""
    document = msgspec.to_builtins(lock)
    head = _HEAD.format(name=lock.endpoint) + (_CANARY if lock.share < 1 else "")
    return (head + yaml.safe_dump(document, sort_keys=False, width=1000)).encode()


def find(folders: Iterable[Path], endpoint: str) -> Lock | None:
    """The lock of an endpoint's export, in the first of the folders that has it; None where none has.

    Raises:
        ConfigError: when one cannot be read.
    """
    locks = (_read(folder / FILE) for folder in folders)
    return next((lock for lock in locks if lock is not None and lock.endpoint == endpoint), None)


def _read(path: Path) -> Lock | None:
    try:
        return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), Lock)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{path} cannot be read: {' '.join(str(error).split())}",
            why="it says which artifacts the exported endpoint serves",
            fix="restore it from version control, or look for the run anew: --update",
        ) from None


def hold(plan: EndpointPlan, lock: Lock) -> None:
    """See that a plan serves what its lock says.

    Raises:
        ConfigError: when it does not: the definition binds other outputs by now, or the run's records have changed.
    """
    found = lock_of(plan, given=lock.given, share=lock.share)
    if found == lock:
        return
    names = sorted({*found.artifacts, *lock.artifacts})
    changed = [name for name in names if found.artifacts.get(name) != lock.artifacts.get(name)]
    raise ConfigError(
        f"the endpoint {plan.name} does not serve what {FILE} says: {', '.join(changed) or 'how its run is asked for'}",
        why=f"the run is {found.run}, asked for as {found.asked}; the lock is of {lock.run}, asked for as {lock.asked}",
        fix="look for the run anew: --update",
    )
