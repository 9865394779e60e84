"""Event files, written whole: their records by TensorBoard's own protocol buffers, without TensorFlow or PyTorch."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

_PNG = b"\x89PNG\r\n\x1a\n"
_VERSION = "brain.Event:2"


def write(path: Path, events: Iterable[Event]) -> None:
    """Replace a file by these events; a reader sees the old one or the new one, never a part."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(file_version=_VERSION).SerializeToString())
        for event in events:
            writer.write(event.SerializeToString())
        writer.flush()
    partial.replace(path)


def scalar(tag: str, value: float, step: int, time: float) -> Event:
    """A point, in double precision."""
    import numpy as np

    return _event(tag, "scalars", np.float64(value), step, time)


def text(tag: str, value: str, time: float) -> Event:
    """A text."""
    import numpy as np

    return _event(tag, "text", np.array([value.encode()], dtype=object), 0, time)


def image(tag: str, png: bytes, time: float) -> Event | None:
    """A picture, or None for bytes that are no PNG."""
    import numpy as np

    if not png.startswith(_PNG):
        return None
    width, height = struct.unpack(">II", png[16:24])
    return _event(tag, "images", np.array([str(width).encode(), str(height).encode(), png], dtype=object), 0, time)


def begun(params: Mapping[str, Any], name: str, time: float) -> Event:
    """The start of a session of the HParams dashboard: values that are no numbers and no texts as JSON."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    return Event(wall_time=time, summary=hparams_pb(dict(params), trial_id=name, start_time_secs=time))


def ended(succeeded: bool, time: float) -> Event:
    """The end of that session."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = api_pb2.Status.Value("STATUS_SUCCESS" if succeeded else "STATUS_FAILURE")
    data = plugin_data_pb2.HParamsPluginData(
        session_end_info=plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time)
    )
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(data),
        tensor=metadata.NULL_TENSOR,
    )
    return Event(wall_time=time, summary=Summary(value=[value]))


def _event(tag: str, plugin: str, value: Any, step: int, time: float) -> Event:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.util.tensor_util import make_tensor_proto

    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin))
    summary = Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=make_tensor_proto(value))])
    return Event(wall_time=time, step=step, summary=summary)
