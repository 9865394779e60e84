"""An environment for a tool that cannot share the project's: resolved once, made by uv, kept in the cache folder."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path

from turnout.base import canonical
from turnout.base.cache_folder import cache_folder
from turnout.base.errors import PlanError
from turnout.environment import environment, installed, resolver
from turnout.environment import pins as pinned


def tool_environment(
    tool: str, requirements: Sequence[str], own: Sequence[str], index: Callable[[], Mapping[str, str]] = dict
) -> Path:
    """The interpreter of an environment with a tool, and with turnout, whatever the project's own environment holds.

    What the requirements resolve to is kept: they are resolved again, and the environment made anew, where they change.

    Args:
        tool: its name, for people: making the environment takes a while, which is said on standard error.
        requirements: what the tool needs. Give each a lower bound: a resolver goes back to old versions silently.
        own: turnout's distributions to have beside it, each from where the running interpreter has it.
        index: gives the variables by which uv finds packages, such as a component's ``package_index``.

    Raises:
        PlanError: when uv cannot resolve or install them.
    """
    cache, python = cache_folder(), pinned.python_minor()
    limits = [line for name in own for line in _requires(name)]
    question = [sorted(requirements), sorted(limits), python, sysconfig.get_platform(), sys.implementation.name]
    file = cache / "tools" / f"{canonical.digest_of(question)[:32]}.txt"
    announced = lru_cache(partial(_announced, tool, index))
    try:
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            text = resolver.compile_pins(
                file.parent,
                sorted(requirements),
                pyproject=False,
                preferred=(),
                constraints=limits,
                index=announced(),
            )
            unfinished = file.with_suffix(f".{os.getpid()}")
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(file)
        lines = (line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
        pins = [line for line in lines if line]
        return environment.ensure(python, pins, cache / "environments", own, announced)
    except PlanError as error:
        raise PlanError(f"no environment can be made for {tool}: {error.what}", why=error.why, fix=error.fix) from None


def _announced(tool: str, index: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
    """What the index says, asked where an environment is about to be made; people are told why they wait."""
    print(f"turnout: making an environment for {tool}, once", file=sys.stderr, flush=True)
    return index()


def _requires(name: str) -> list[str]:
    """What one of turnout's distributions needs of others, without extras."""
    from packaging.requirements import Requirement

    distribution = installed.distributions().get(installed.normalised(name))
    lines = [line for line in (distribution.requires if distribution else ()) if "extra ==" not in line]
    return [line for line in lines if not installed.is_own(installed.normalised(Requirement(line).name))]
