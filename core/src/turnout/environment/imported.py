"""What the packages of others are in this interpreter, where no pin of the environment says it.

A pin covers the distribution that installed a package. Left are distributions that nobody declared, which have a
version, and modules of none: on ``PYTHONPATH``, in a folder put on ``sys.path``, of a source tree that is installed in
place. Of these the content counts, and that of what they import.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from turnout.base import canonical
from turnout.environment import installed

_INFO = re.compile(r"(?P<name>.+?)-(?P<version>\d[^-]*)(-py[\d.]+)?\.(dist|egg)-info\Z")


_USUAL = {"sklearn": "scikit-learn", "skimage": "scikit-image", "cv2": "opencv", "bs4": "beautifulsoup4"}
"""Where packages are looked for first whose distribution has quite another name: it saves reading all of them."""


def unpinned(packages: Iterable[str], pinned: Mapping[str, str]) -> dict[str, str]:
    """What stands for each of the packages, and for what they need, that no pin covers; empty where pins cover all.

    Args:
        packages: the names that code imports, without what follows a dot. One that is not here is left out.
        pinned: the versions of the environment's distributions by their normalised names; empty for one whose content
            counts there.
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    todo = list(packages)
    while todo:
        name = todo.pop()
        if name in seen or name == "turnout" or name in sys.stdlib_module_names:
            continue
        seen.add(name)
        for place in _places(name):
            distribution = _distribution(name, place)
            if distribution is None:
                if not _is_local(place, pinned):
                    files = {file: canonical.digest_file(file)[0] for file in _files(place)}
                    found[f"{name} {place.name}"] = _content(place, files)
                    for file, digest in files.items():
                        todo.extend(_imports(digest, file) if file.suffix == ".py" else ())
            elif pinned.get(distribution[0]) not in {"", distribution[1]}:
                found.update(_needed(distribution, pinned))
    return dict(sorted(found.items()))


def _places(name: str) -> list[Path]:
    """The file or folders that a package is imported from; none for one that is not here or is built in."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(place) for place in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.origin and Path(spec.origin).is_file() else []


def _distribution(name: str, place: Path) -> tuple[str, str] | None:
    """The name and version of the distribution that installed a package there, or None where none did."""
    infos = _infos(place.parent)
    if (likely := installed.normalised(name)) in infos:
        return likely, infos[likely][1]
    usual = _USUAL.get(name, name.lower())
    for other in sorted(infos, key=lambda other: usual not in other):
        if _installs(infos[other][0], name):
            return other, infos[other][1]
    return None


def _infos(folder: Path) -> dict[str, tuple[Path, str]]:
    """The distributions whose files lie in a folder for packages; none of a source tree that is installed in place."""
    try:
        return _listed(folder, folder.stat().st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=64)
def _listed(folder: Path, _modified: int) -> dict[str, tuple[Path, str]]:
    found = {}
    for info in folder.iterdir():
        if (named := _INFO.match(info.name)) is not None and (info.suffix == ".dist-info" or _is_site(folder)):
            found[installed.normalised(named["name"])] = info, named["version"]
    return found


def _is_site(folder: Path) -> bool:
    return folder.name in {"site-packages", "dist-packages"}


@lru_cache(maxsize=4096)
def _installs(info: Path, name: str) -> bool:
    for file, marks in (
        ("top_level.txt", (f"\n{name}\n",)),
        ("RECORD", (f"\n{name}/", f"\n{name}.")),
        ("installed-files.txt", (f"/{name}/", f"/{name}.")),
    ):
        try:
            text = f"\n{(info / file).read_text(encoding='utf-8', errors='replace')}\n"
        except OSError:
            continue
        if any(mark in text for mark in marks):
            return True
    return False


def _is_local(place: Path, pinned: Collection[str]) -> bool:
    """Whether a package is of a folder whose content the environment counts: installed in place, and declared."""
    folders = (one.folder for one in installed.distributions().values() if one.name in pinned)
    return any(folder is not None and place.is_relative_to(folder.resolve()) for folder in folders)


def _needed(distribution: tuple[str, str], pinned: Collection[str]) -> Iterator[tuple[str, str]]:
    """The version of a distribution that no pin covers, and of those that it needs and no pin covers."""
    from packaging.requirements import InvalidRequirement, Requirement

    yield f"{distribution[0]} (version)", distribution[1]
    have = installed.distributions()
    seen, todo = {distribution[0]}, [distribution[0]]
    while todo:
        one = have.get(todo.pop())
        for line in one.requires if one else ():
            try:
                requirement = Requirement(line)
            except InvalidRequirement:
                continue
            name = installed.normalised(requirement.name)
            if name in have and name not in seen and name not in pinned and installed.applies(requirement):
                seen.add(name)
                todo.append(name)
                yield f"{name} (version)", have[name].version


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return sorted(file for file in place.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


def _content(place: Path, digests: Mapping[Path, str]) -> str:
    names = {file: "" if file == place else file.relative_to(place).as_posix() for file in digests}
    return canonical.digest_of([[name, digests[file]] for file, name in names.items()])


_imported: dict[str, frozenset[str]] = {}
"""What each Python file imports, by the digest of its content: a step's key asks for the same files again."""


def _imports(digest: str, file: Path) -> frozenset[str]:
    """The packages that a Python file of this content imports, by the first part of their names."""
    if digest not in _imported:
        _imported[digest] = frozenset(_read_imports(file))
    return _imported[digest]


def _read_imports(file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]
