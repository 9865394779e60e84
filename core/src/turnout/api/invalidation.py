"""Forcing steps to run again: their records are removed, and those of all that was made from them."""

from __future__ import annotations

import uuid

from turnout.api.run import Run
from turnout.base import clock, names
from turnout.model.records import Mark
from turnout.runtime.state import append_mark
from turnout.stores import layout


def invalidate(run: Run, label: str) -> tuple[str, ...]:
    """Remove the record of a step (of a mapped step, of all elements) or of one element, and of all that needs it.

    The attempts stay: they are what happened. The artifacts stay, too, until they are collected as garbage.

    Returns:
        The labels of the records removed, in the order of the plan.

    Raises:
        ConfigError: when the run has no such step.
    """
    start, element = run.place(label)
    below, pending = {start}, [start]
    while pending:
        for name in run.plan.downstream[pending.pop()]:
            if name not in below:
                below.add(name)
                pending.append(name)
    store, folder = run.workspace.store, layout.steps(run.info.project, run.id)
    removed = []
    for name in store.children(folder):  # by their keys: a record that cannot be read can be removed, too
        step, index = names.place(name)
        other = step == start and element is not None and index != element
        if step in below and not other and store.exists(layout.record(run.info.project, run.id, step, index)):
            removed.append((step, index, name))
    order = {step.name: number for number, step in enumerate(run.plan.steps)}
    removed.sort(key=lambda one: (order[one[0]], -1 if one[1] is None else one[1]))
    labels = tuple(name for _, _, name in removed)
    if removed:  # the mark comes first: what is on record stands until its record is gone
        mark = Mark(kind="invalidate", time=clock.now(), removed=labels)
        append_mark(store, run.info.project, run.id, mark)
    for step, index, _ in removed:
        store.delete(layout.record(run.info.project, run.id, step, index))
    store.create(layout.change(run.info.project, run.id, uuid.uuid4().hex[:12]), b"{}")
    run.refresh()
    return labels
