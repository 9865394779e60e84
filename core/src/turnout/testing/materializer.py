"""The suite a materializer must pass: what is saved is read back, the same bytes in every process.

A plugin's test file is one class::

    class TestMyMaterializer(MaterializerSuite):
        @pytest.fixture
        def materializer(self):
            return MyMaterializer()

        @pytest.fixture
        def values(self):
            return [MyType(1), MyType(2)]
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import pytest

from turnout.base.errors import ArtifactError
from turnout.components.materializer import Materializer
from turnout.environment.probe import probe
from turnout.materializers.classes import name_of
from turnout.model.types import TypeName
from turnout.testing.component import made_elsewhere, registry_of
from turnout.testing.processes import together
from turnout.testing.suite import Suite

_READ = """
from importlib import import_module
from pathlib import Path
found = import_module(argument[0])
for part in argument[1].split("."):
    found = getattr(found, part)
found().load(Path(argument[2]))
"""


class MaterializerSuite(Suite):
    """Subclass it, name the subclass ``Test…`` and give the fixtures ``materializer`` and ``values``.

    Give ``unequal`` (pairs of values that are not the same) and ``unfit`` (values it must refuse) where there are any.
    ``unstable`` says why the bytes differ from process to process, where they do: the comparator then decides.
    """

    unstable: ClassVar[str] = ""

    @pytest.fixture
    def materializer(self) -> Materializer:
        """The materializer."""
        raise NotImplementedError("give the suite a fixture 'materializer'")

    @pytest.fixture
    def values(self) -> list[Any]:
        """Values of each type it takes, subclasses among them."""
        raise NotImplementedError("give the suite a fixture 'values'")

    @pytest.fixture
    def unequal(self) -> list[tuple[Any, Any]]:
        """Pairs of values that are not the same for the user."""
        return []

    @pytest.fixture
    def unfit(self) -> list[Any]:
        """Values of its types that it cannot keep exactly."""
        return []

    def test_it_is_registered_without_a_problem(self, materializer: Materializer) -> None:
        registry = registry_of("materializer", type(materializer))
        assert [str(problem) for problem in registry.problems] == []
        assert registry.get("materializer", materializer.name) is type(materializer)
        names = (*materializer.types, *materializer.reads)
        assert [name for name in names if not re.fullmatch(r"[\w.]+:[\w.]+", name)] == [], "write module:qualname"

    def test_making_it_does_nothing(self, materializer: Materializer) -> None:
        probed = made_elsewhere(materializer, None)
        assert probed.error == ""
        assert probed.imported == (), "import the library inside save and load"
        assert probed.acts == ()

    def test_values_come_back(self, materializer: Materializer, values: list[Any], tmp_path: Path) -> None:
        assert values, "give at least one value"
        for number, value in enumerate(values):
            first, second = _saved(materializer, value, tmp_path / f"{number}a"), tmp_path / f"{number}b"
            loaded = materializer.load(first, _wanted(value))
            assert type(loaded) is type(value)
            assert materializer.equal(first, _saved(materializer, loaded, second)), f"{value!r} became {loaded!r}"

    def test_what_is_loaded_is_new_each_time(
        self, materializer: Materializer, values: list[Any], tmp_path: Path
    ) -> None:
        for number, value in enumerate(values):
            folder = _saved(materializer, value, tmp_path / str(number))
            files = _files(folder)
            materializer.load(folder)
            materializer.load(folder)
            assert _files(folder) == files, "loading must not change the files"

    def test_saving_leaves_the_value_as_it_is(
        self, materializer: Materializer, values: list[Any], tmp_path: Path
    ) -> None:
        for number, value in enumerate(values):
            first = _saved(materializer, value, tmp_path / f"{number}a")
            assert materializer.equal(first, _saved(materializer, value, tmp_path / f"{number}b"))

    def test_it_writes_into_its_folder_only(
        self, materializer: Materializer, values: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here = tmp_path / "here"
        here.mkdir()
        monkeypatch.chdir(here)
        for number, value in enumerate(values):
            folder = _saved(materializer, value, tmp_path / "saved" / str(number))
            assert _files(folder), "an artifact has at least one file"
            assert not any(path.is_symlink() for path in folder.rglob("*"))
        assert list(here.iterdir()) == []
        assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "saved"]

    def test_its_comparator_tells_values_apart(
        self, materializer: Materializer, unequal: list[tuple[Any, Any]], tmp_path: Path
    ) -> None:
        for number, (left, right) in enumerate(unequal):
            first = _saved(materializer, left, tmp_path / f"{number}a")
            second = _saved(materializer, right, tmp_path / f"{number}b")
            assert not materializer.equal(first, second), f"{left!r} is not {right!r}"
            assert not materializer.equal(second, first)

    def test_every_process_writes_the_same(self, materializer: Materializer, values: list[Any], tmp_path: Path) -> None:
        import cloudpickle

        given = cloudpickle.dumps(values)
        folders = [tmp_path / str(number) for number in range(3)]
        calls = [(save_all, (given, str(folder))) for folder in folders]
        together(materializer, *calls, hash_seeds=("0", "1", "4242"))
        for number in range(len(values)):
            first, *others = (folder / str(number) for folder in folders)
            for other in others:
                assert materializer.equal(first, other)
                if not self.unstable:
                    assert _files(first) == _files(other), "say why in `unstable` if this cannot be helped"
            materializer.load(first)

    def test_only_a_marked_one_reads_pickles(
        self, materializer: Materializer, values: list[Any], tmp_path: Path
    ) -> None:
        kind = type(materializer)
        for number, value in enumerate(values):
            folder = _saved(materializer, value, tmp_path / str(number))
            where = [kind.__module__, kind.__qualname__, str(folder)]
            probed = probe(_READ, where)
            assert probed.error == ""
            assert materializer.pickled or "it reads a pickle" not in probed.acts, "set `pickled = True`"

    def test_what_it_cannot_keep_is_refused(self, materializer: Materializer, unfit: list[Any], tmp_path: Path) -> None:
        for number, value in enumerate(unfit):
            with pytest.raises(ArtifactError):
                _saved(materializer, value, tmp_path / str(number))


def save_all(materializer: Materializer, pickled: bytes, folder: str) -> None:
    """Save values, as another process does."""
    import cloudpickle

    for number, value in enumerate(cloudpickle.loads(pickled)):
        _saved(materializer, value, Path(folder, str(number)))


def _wanted(value: Any) -> TypeName:
    name = name_of(type(value))
    return TypeName(name=name, text=name)


def _saved(materializer: Materializer, value: Any, folder: Path) -> Path:
    folder.mkdir(parents=True)
    materializer.save(value, folder)
    return folder


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
