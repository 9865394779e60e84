"""``turnout.runs(…)``: the runs of a project."""

from __future__ import annotations

from collections.abc import Mapping

from turnout.api.history import run_infos
from turnout.api.run import Run
from turnout.api.workspace import Workspace


def runs(
    pipeline: str | None = None,
    *,
    tags: Mapping[str, str] | None = None,
    stack: str | None = None,
    workspace: Workspace | None = None,
) -> list[Run]:
    """The runs of the current project, newest first.

    Args:
        pipeline: only runs of the pipeline of this name.
        tags: only runs that have all of these tags.
        stack: the stack whose store is looked in; as for ``turnout run``.
    """
    place = workspace or Workspace.here(stack)
    wanted = (tags or {}).items()
    return [
        Run(info.id, workspace=place)
        for info in run_infos(place.store, place.project.name)
        if (pipeline is None or info.pipeline == pipeline) and wanted <= info.options.tags.items()
    ]
