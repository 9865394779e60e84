"""What an engine can show of a step's output, beside its own id for it: the digest, and where the content is."""

from __future__ import annotations

from typing import Any

from turnout.model.records import OutputRecord
from turnout.stores import layout

MOST = 100
"""Of how many elements the digests are given."""


def output_metadata(output: OutputRecord, store: str) -> dict[str, Any]:
    """Plain values by name: digest, type, materializer, size and address of an output.

    Of a small plain value, which lies in its record alone, the value stands there instead of the address; of the
    elements of a mapped step, how many there are, and their digests.

    Args:
        store: the address of the store.
    """
    if output.elements is not None:
        digests = {"digests": list(output.digests)} if len(output.elements) <= MOST else {}
        return {"elements": len(output.elements), **digests}
    artifact = output.artifact
    if artifact is None:
        return {}
    known = {"digest": artifact.digest, "type": artifact.type, "materializer": artifact.materializer}
    if not artifact.inline:
        return {**known, "size": artifact.size, "uri": f"{store.rstrip('/')}/{layout.artifact(artifact.digest)}"}
    value = _number(artifact.value)
    values = {name: _number(item) for name, item in value.items()} if isinstance(value, dict) else {"value": value}
    return {**{name: item for name, item in values.items() if isinstance(item, (bool, int, float, str))}, **known}


def _number(value: Any) -> Any:
    """A value of a record, in which a number that JSON cannot hold is ``{"$float": "nan"}``, as its text."""
    return value["$float"] if isinstance(value, dict) and value.keys() == {"$float"} else value
