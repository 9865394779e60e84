"""Where everything lies in an artifact store: the one place that knows its keys.

:mod:`turnout.project.written` knows their forms, by which a store in a project is told from what else is there.

Keys are relative to the store's root, with forward slashes. Content (artifacts, code, plans) is shared by
all projects of a root; runs, cache and aliases belong to one project.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from turnout.base import names

if TYPE_CHECKING:
    from turnout.components.artifact_store import ArtifactStore


def artifact(digest: str) -> str:
    """The folder of an artifact; its files lie in it under their own names, beside its manifest."""
    return f"artifacts/{digest}"


def manifest(digest: str) -> str:
    """The manifest of an artifact: written after its files, so that it stands for the whole."""
    return f"artifacts/{digest}/manifest.json"


def blob(digest: str, path: str) -> str:
    """One file of an artifact."""
    return f"artifacts/{digest}/files/{path}"


def code(digest: str) -> str:
    """A code package."""
    return f"code/{digest}/code.zip"


def code_origin(digest: str) -> str:
    """The git commit that a code package was first made from, and whether the tree was dirty."""
    return f"code/{digest}/git.json"


def plan(digest: str) -> str:
    """A plan's canonical bytes."""
    return f"plans/{digest}.json"


def runs(project: str) -> str:
    """The folder of a project's runs."""
    return f"{project}/runs"


def run_folder(project: str, run: str) -> str:
    """The folder of one run."""
    return f"{project}/runs/{run}"


def run(project: str, run: str) -> str:
    """``run.json`` of a run: created once, by the first worker."""
    return f"{project}/runs/{run}/run.json"


def run_file(project: str, run: str, param: str) -> str:
    """The digest that a URL given as a parameter had when this run first read it."""
    return f"{project}/runs/{run}/files/{param}.json"


def marks(project: str, run: str) -> str:
    """The folder of a run's marks."""
    return f"{project}/runs/{run}/marks"


def mark(project: str, run: str, number: int) -> str:
    """One mark, numbered from 0; the highest number counts."""
    return f"{project}/runs/{run}/marks/{number}.json"


def old_marks(project: str, run: str) -> str:
    """The folder of the finish marks of a run of turnout 0.1, which had no others."""
    return f"{project}/runs/{run}/finish"


def tracker(project: str, run: str, name: str) -> str:
    """What the run knows of its tracker: ``claim`` (who makes its run there), ``failed``,
    ``id`` and ``page``."""
    return f"{project}/runs/{run}/tracker/{name}.json"


def missed(project: str, run: str) -> str:
    """The folder of notes on what the tracker did not take, by the label of a step."""
    return f"{project}/runs/{run}/tracker/missed"


def steps(project: str, run: str) -> str:
    """The folder of a run's steps."""
    return f"{project}/runs/{run}/steps"


def step(project: str, run: str, step: str, index: int | None) -> str:
    """The folder of a step, or of one element of a mapped step."""
    return f"{project}/runs/{run}/steps/{names.label(step, index)}"


def record(project: str, run: str, step_name: str, index: int | None) -> str:
    """The record of a committed step."""
    return f"{step(project, run, step_name, index)}/record.json"


def committed(store: ArtifactStore[Any], project: str, run: str) -> frozenset[str]:
    """The labels (``step``, or ``step.index`` for an element) of what a run has committed: of what has records."""
    folder, end = f"{steps(project, run)}/", "/record.json"
    keys = [entry.key for entry in store.list(folder[:-1]) if entry.key.endswith(end)]
    return frozenset(key[len(folder) : -len(end)] for key in keys)


def attempts(project: str, run: str, step_name: str, index: int | None) -> str:
    """The folder of a step's attempts."""
    return f"{step(project, run, step_name, index)}/attempts"


def attempt(project: str, run: str, step_name: str, index: int | None, attempt: str) -> str:
    """One attempt at a step."""
    return f"{attempts(project, run, step_name, index)}/{attempt}.json"


def cache(project: str, key: str) -> str:
    """The folder of the entries of a cache key."""
    return f"{project}/cache/{key}"


def cache_entry(project: str, key: str, run: str, step_name: str, index: int | None) -> str:
    """A pointer from a cache key to the step of a run that holds its result."""
    return f"{cache(project, key)}/{run}.{names.label(step_name, index)}.json"


def cached_record(project: str, entry: str) -> str | None:
    """The record that an entry of the cache stands for, by the entry's own name; None of what is no entry."""
    named, _, form = entry.rpartition(".")
    run, _, label = named.partition(".")
    return record(project, run, label, None) if form == "json" and run and label else None


def aliases(project: str) -> str:
    """The folder of a project's aliases."""
    return f"{project}/aliases"


def alias_history(project: str, name: str) -> str:
    """The folder of what an alias has named."""
    return f"{aliases(project)}/{name}"


def alias(project: str, name: str, number: int) -> str:
    """One setting of an alias, numbered from 0; the highest number counts."""
    return f"{alias_history(project, name)}/{number}.json"


def promoted(project: str, run: str) -> str:
    """The folder of what was copied from another store of a run that was promoted to this one: its records."""
    return f"{project}/promoted/{run}"


def endpoints(project: str) -> str:
    """The folder of a project's endpoints."""
    return f"{project}/endpoints"


def endpoint_history(project: str, name: str) -> str:
    """The folder of what an endpoint has served."""
    return f"{endpoints(project)}/{name}"


def endpoint(project: str, name: str, number: int) -> str:
    """One version of an endpoint as it was deployed, numbered from 0; the highest number is the newest."""
    return f"{endpoint_history(project, name)}/{number}.json"


def changes(project: str) -> str:
    """The folder of marks that say which runs have changed after their end, for whoever remembers runs."""
    return f"{project}/changes"


def change(project: str, run: str, mark: str) -> str:
    """One such mark: a run, and a name that no other mark has."""
    return f"{changes(project)}/{run}.{mark}.json"


def exports() -> str:
    """The folder of plans that engines were given."""
    return "exports"


def export(plan: str) -> str:
    """Says that an engine was given this plan: it is kept until the pipeline is unpublished."""
    return f"{exports()}/{plan}.json"


def claims(digest: str) -> str:
    """The folder of claims to an artifact, code package or plan that is in the store without anything naming it."""
    return f"claims/{digest}"


def claim(digest: str, until: int, token: str) -> str:
    """One claim: when it ends at the earliest (Unix seconds), and a token that no other has."""
    return f"{claims(digest)}/{until}.{token}.json"


def condemned(digest: str) -> str:
    """Says that what has this digest is about to be removed."""
    return f"{claims(digest)}/condemned"


def removed(project: str, token: str) -> str:
    """What runs that were removed together had named: kept for as long as someone may still be taking it over."""
    return f"{project}/removed/{token}.json"
