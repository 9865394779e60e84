"""Environments: a project's requirements locked to exact pins, and an interpreter that has exactly these."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from turnout.base import canonical
from turnout.base.errors import Location, PlanError
from turnout.environment import declared as declarations
from turnout.environment import installed, resolver
from turnout.environment import pins as pinned
from turnout.environment.declared import Declared
from turnout.environment.pins import Locked
from turnout.project.project import Project, read_toml

if TYPE_CHECKING:
    from packaging.requirements import Requirement

Index = Callable[[], Mapping[str, str]]
_INSTALLERS = ("pip", "uv")
_INDEX_SETTINGS = (
    "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX", "UV_OFFLINE",
    "UV_INDEX_STRATEGY", "UV_PRERELEASE", "UV_RESOLUTION", "UV_EXCLUDE_NEWER", "UV_CONSTRAINT", "UV_OVERRIDE",
)  # fmt: skip


def lock(project: Project, extra: Sequence[str] = (), index: Index = dict) -> Locked:
    """Lock a project's requirements, and a step's *extra* ones, for the running interpreter's Python.

    In this order: the pins of the project's ``uv.lock``; where ``pyproject.toml`` declares dependencies, the
    installed versions if they satisfy them all, else what uv resolves (kept under ``.turnout/locks``); without
    declared dependencies, everything the running interpreter has. turnout and its plugins are never among the pins.

    Args:
        index: gives the variables by which uv finds the packages of the stack's index, where uv is needed; by
            default it does as it is set up here.

    Raises:
        PlanError: when the requirements conflict, cannot be resolved, or do not allow this Python.
    """
    declared = declarations.read(project)
    declarations.check_python(declared)
    for line in (*(declared.dependencies or ()), *extra):
        _check_readable(line)
    by_uv = declarations.lockfile(project.root)
    if by_uv is not None:
        base = _locked_by_uv(project, declared, by_uv)
    elif declared.dependencies is None and not declared.dynamic:
        found = {name: one for name, one in installed.distributions().items() if name not in _INSTALLERS}
        base = pinned.of_installed(found.values(), project, declared)
    else:
        base = _satisfied_or_resolved(project, declared, (), index)
    if extra and not _met_by(base, extra):
        base = _with_extra(project, declared, base, tuple(extra), index, by_uv=by_uv is not None)
    check(base.pins)
    return base


def check(pins: Iterable[str], distributions: Sequence[str] = ("turnout",)) -> None:
    """See that turnout and its worker-side plugins can be installed beside those *pins* that are not installed here.

    Raises:
        PlanError: when one of them directly requires another version than is pinned.
    """
    versions = _versions(missing(pins))
    if not versions:
        return
    from packaging.requirements import Requirement

    have = installed.distributions()
    for own in distributions:
        distribution = have.get(installed.normalised(own))
        for line in distribution.requires if distribution else ():
            requirement = Requirement(line)
            name = installed.normalised(requirement.name)
            if name in versions and installed.applies(requirement) and not _allows(requirement, versions[name]):
                raise PlanError(
                    f"the locked {name}=={versions[name]} cannot stand beside {own}",
                    why=f"{own} needs {name}{requirement.specifier}",
                    fix=f"allow {name}{requirement.specifier} in the project's dependencies",
                )


def missing(pins: Iterable[str]) -> tuple[str, ...]:
    """The pins that the running interpreter does not have at exactly their versions."""
    have = installed.distributions()
    return tuple(pin for pin in pins if not _has(have.get(pin.partition("==")[0]), pin.partition("==")[2]))


def ensure(
    python: str,
    pins: Sequence[str],
    cache: Path,
    own: Sequence[str] = ("turnout",),
    index: Index = dict,
) -> Path:
    """The interpreter of an environment under *cache* that holds exactly *pins*, and *own* under them as constraints.

    It is made once, by one process while others wait, and kept.

    Args:
        python: the Python minor version.
        own: requirements on turnout and worker-side plugins by name and extras (``turnout[s3]``). Each is installed
            from where the running interpreter has it: the same version, or the same folder.
        index: as for :func:`lock`.

    Raises:
        PlanError: when that Python is not on this machine, or uv cannot install the pins or *own* beside them.
    """
    added = tuple(_same_as_here(name) for name in own)
    key = canonical.digest_of([python, sorted(pins), added, sysconfig.get_platform(), sys.implementation.name])[:32]
    folder = cache / key
    interpreter = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "complete"
    if done.exists() and interpreter.exists():
        return interpreter
    cache.mkdir(parents=True, exist_ok=True)
    with _exclusive(cache / f"{key}.lock"):
        if not (done.exists() and interpreter.exists()):
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder, interpreter, python, pins, added, index())
            done.touch()
    return interpreter


def _make(
    folder: Path,
    interpreter: Path,
    python: str,
    pins: Sequence[str],
    added: Sequence[str],
    index: Mapping[str, str],
) -> None:
    source = sys.executable if python == pinned.python_minor() else python
    resolver.run(
        f"an environment of Python {python} cannot be made",
        ["venv", "--quiet", "--python", source, str(folder)],
        fix=f"install Python {python} on the machine that runs the step, or plan with the Python it has",
    )
    locked, wanted = folder / "pins.txt", folder / "own.txt"
    locked.write_text("".join(f"{pin}\n" for pin in pins), encoding="utf-8")
    wanted.write_text("".join(f"{line}\n" for line in added), encoding="utf-8")
    install = ["pip", "install", "--quiet", "--compile-bytecode", "--python", str(interpreter)]
    if pins:
        resolver.run(
            "the locked versions cannot be installed",
            [*install, "--no-deps", "--requirement", str(locked)],
            fix="see that the machine that runs the step reaches the same package index as the one that planned",
            index=index,
        )
    if added:
        resolver.run(
            "turnout cannot be installed beside the locked versions",
            [*install, "--constraint", str(locked), "--requirement", str(wanted)],
            fix="allow in the project's dependencies the versions that turnout needs",
            index=index,
        )


def _same_as_here(own: str) -> str:
    """The requirement that installs one of turnout's distributions from where the running interpreter has it."""
    from packaging.requirements import Requirement

    requirement = Requirement(own)
    distribution = installed.distributions().get(installed.normalised(requirement.name))
    if distribution is None:
        return own
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    if distribution.origin == "index":
        return f"{distribution.name}{extras}=={distribution.version}"
    return f"{'-e ' if distribution.origin == 'editable' else ''}{distribution.name}{extras} @ {distribution.url}"


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    import fcntl

    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _locked_by_uv(project: Project, declared: Declared, file: Path) -> Locked:
    named = {package["name"] for package in read_toml(file).get("package", ())}
    own = sorted(name for name in named if installed.is_own(name) and name != declared.name)
    locked = pinned.parse(resolver.export(project.root, own), file.parent, declared)
    for line in declared.dependencies or ():
        if not _pins_meet(locked, line):
            raise PlanError(
                f"uv.lock does not hold what pyproject.toml asks for: {resolver.redact(line)}",
                where=Location("pyproject.toml"),
                fix="run `uv lock` in the project's folder",
            )
    return locked


def _satisfied_or_resolved(project: Project, declared: Declared, extra: tuple[str, ...], index: Index) -> Locked:
    wanted = (*(declared.dependencies or ()), *extra)
    found = None if declared.dynamic else installed.closure(wanted)
    if found is not None:
        return pinned.of_installed(found.values(), project, declared)
    near = tuple(one.pin for one in installed.distributions().values() if one.origin == "index")
    return _resolved(project, declared, wanted, near, index, hint=True)


def _with_extra(
    project: Project,
    declared: Declared,
    base: Locked,
    extra: tuple[str, ...],
    index: Index,
    *,
    by_uv: bool,
) -> Locked:
    if by_uv:
        return _resolved(project, declared, (*(declared.dependencies or ()), *extra), base.pins, index)
    if declared.dependencies is None and not declared.dynamic:
        have = installed.distributions()
        names = installed.top_level({name: have[name] for name in _versions(base.pins)})
        return _resolved(project, declared, (*names, *extra), base.pins, index)
    return _satisfied_or_resolved(project, declared, extra, index)


def _resolved(
    project: Project,
    declared: Declared,
    wanted: Iterable[str],
    preferred: Sequence[str],
    index: Index,
    *,
    hint: bool = False,
) -> Locked:
    """Pins resolved by uv, or read from ``.turnout/locks`` where the same was resolved before.

    The *preferred* pins are part of the question, unless they are no more than a *hint* when it is first asked.
    """
    turnout = installed.distributions().get("turnout")
    limits = [line for line in turnout.requires if "extra ==" not in line] if turnout else []
    inputs = sorted(line for line in wanted if not installed.is_own(_name(line)))
    whole, variables = declared.dynamic or bool(declared.sources), index()
    question = [
        inputs,
        limits,
        [] if hint else list(preferred),
        pinned.python_minor(),
        sysconfig.get_platform(),
        sys.implementation.name,
        {
            name: resolver.redact(value)
            for name, value in {**os.environ, **variables}.items()
            if name in _INDEX_SETTINGS
        },
        resolver.redact(repr(declared.uv)),
        canonical.digest_file(project.root / "pyproject.toml")[0] if whole else "",
    ]
    file = project.state / "locks" / f"{canonical.digest_of(question)[:32]}.txt"
    if file.is_file():
        return pinned.parse(file.read_text(encoding="utf-8"), project.root, declared)
    text = resolver.compile_pins(
        project.root, inputs, pyproject=whole, preferred=preferred, constraints=limits, index=variables
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)
    return pinned.parse(text, project.root, declared)


def _check_readable(line: str) -> None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(line)
    except InvalidRequirement as error:
        raise PlanError(
            f"the requirement {resolver.redact(line)!r} cannot be read",
            why=resolver.redact(str(error).splitlines()[0]),
            fix="write it as pip takes it: name>=1.0",
        ) from None


def _name(line: str) -> str:
    from packaging.requirements import Requirement

    return installed.normalised(Requirement(line).name)


def _met_by(locked: Locked, extra: Iterable[str]) -> bool:
    """Whether a lock already holds a step's further requirements, those of their extras among them."""
    from packaging.requirements import Requirement

    if not all(_pins_meet(locked, line) for line in extra):
        return False
    asking = [line for line in extra if Requirement(line).extras]
    found = installed.closure(asking)
    return found is not None and all(one.pin in locked.pins or one.name in locked.local for one in found.values())


def _pins_meet(locked: Locked, line: str) -> bool:
    from packaging.requirements import Requirement

    requirement = Requirement(line)
    name = installed.normalised(requirement.name)
    if installed.is_own(name) or name in locked.local or not installed.applies(requirement):
        return True
    version = _versions(locked.pins).get(name)
    return version is not None and _allows(requirement, version)


def _allows(requirement: Requirement, version: str) -> bool:
    return requirement.specifier.contains(version, prereleases=True)


def _versions(pins: Iterable[str]) -> dict[str, str]:
    return {name: version for name, _, version in (pin.partition("==") for pin in pins)}


def _has(found: installed.Distribution | None, version: str) -> bool:
    if found is None or found.version == version:
        return found is not None
    from packaging.version import InvalidVersion, Version

    try:
        return Version(found.version) == Version(version)
    except InvalidVersion:
        return False
