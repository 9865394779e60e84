"""Text and bytes, as they are."""

from __future__ import annotations

from pathlib import Path

from turnout.components.materializer import Materializer, Unfit
from turnout.materializers.paths import refuse_texts
from turnout.model.types import ANY, TypeName


class Text(Materializer):
    """A ``str`` as a UTF-8 file, byte for byte: line ends stay."""

    name = "text"
    types = ("builtins:str",)

    def save(self, value: str, folder: Path) -> None:
        if type(value) is not str:
            raise Unfit("a subclass of str is not text alone")
        try:
            data = value.encode()
        except UnicodeEncodeError as error:
            raise Unfit(f"the text cannot be written as UTF-8: {error.reason}") from error
        refuse_texts(value, data)
        (folder / "text.txt").write_bytes(data)

    def load(self, folder: Path, wanted: TypeName = ANY) -> str:
        return (folder / "text.txt").read_bytes().decode()


class Bytes(Materializer):
    """``bytes`` as a file."""

    name = "bytes"
    types = ("builtins:bytes",)

    def save(self, value: bytes, folder: Path) -> None:
        if type(value) is not bytes:
            raise Unfit("a subclass of bytes is not bytes alone")
        refuse_texts(value, value)
        (folder / "data.bin").write_bytes(value)

    def load(self, folder: Path, wanted: TypeName = ANY) -> bytes:
        return (folder / "data.bin").read_bytes()
