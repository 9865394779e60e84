"""What an image holds of turnout: the distributions it takes, by exact pins, and wheels of those that no index has."""

from __future__ import annotations

import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from turnout.base.errors import PlanError
from turnout.environment import installed, resolver
from turnout.environment.installed import Distribution
from turnout.images.dockerfile import Wheel


def needed(own: Sequence[str], pins: Iterable[str]) -> dict[str, Distribution]:
    """The installed distributions that turnout's *own* requirements take, but for what is among *pins*.

    Raises:
        PlanError: when one of them is not installed here, so that its version is not known, or cannot stand beside
            what is pinned.
    """
    from packaging.requirements import Requirement

    have = installed.distributions()
    pinned = dict(pin.split("==", 1) for pin in pins)
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = deque((Requirement(line), "the stack") for line in own)
    while todo:
        requirement, needing = todo.popleft()
        name, extras = installed.normalised(requirement.name), frozenset(requirement.extras)
        version = pinned.get(name)
        if version is not None and not requirement.specifier.contains(version, prereleases=True):
            raise PlanError(
                f"the locked {name}=={version} cannot stand beside {needing}",
                why=f"{needing} needs {name}{requirement.specifier}",
                fix=f"allow {name}{requirement.specifier} in the project's dependencies",
            )
        if (name, extras) in seen or (version is not None and not extras):
            continue
        seen.add((name, extras))
        distribution = have.get(name)
        if distribution is None:
            wanted = str(requirement).partition(";")[0].strip()
            raise PlanError(
                f"{wanted} is not installed here, and {needing} needs it",
                why="an image gets the versions of turnout and its plugins that plan the pipeline",
                fix=f"pip install '{wanted}'",
            )
        if version is None:
            found[name] = distribution
        requires = map(Requirement, distribution.requires)
        todo.extend((one, distribution.pin) for one in requires if installed.applies(one, extras))
    return found


def of_local(names: Iterable[str]) -> dict[str, Distribution]:
    """The installed distributions among the *names* of a lock that no index has.

    Raises:
        PlanError: when one of them is not installed here, or did not come from a folder of this machine.
    """
    have = installed.distributions()
    found = {}
    for name in names:
        distribution = have.get(name)
        if distribution is None or distribution.folder is None:
            raise PlanError(
                f"{name} cannot be put into an image: no index has it",
                why="it is not installed here from a folder of this machine",
                fix="install it from a folder, or publish it to the index that the project takes its packages from",
            )
        found[name] = distribution
    return found


def build(distribution: Distribution) -> Wheel:
    """A wheel of a distribution that was installed from a folder of this machine, made by uv.

    Raises:
        PlanError: when it cannot be built.
    """
    with tempfile.TemporaryDirectory(prefix="turnout-wheel-") as folder:
        resolver.run(
            f"a wheel of {distribution.name} cannot be built",
            [
                *("build", "--quiet", "--wheel", "--no-sources", "--python", sys.executable),
                *("--out-dir", folder, str(distribution.folder)),
            ],
            fix="see that the folder it was installed from is still there, and builds",
        )
        file = next(Path(folder).glob("*.whl"))
        return Wheel(name=distribution.name, file=file.name, data=file.read_bytes())
