"""Manifests as text: YAML as a person would write it, with comments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from turnout.plugin_api import yaml_text
from turnout_kubernetes.cluster import Kind

Document = dict[str, Any]
KUSTOMIZATION = "kustomization.yaml"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """An object that an endpoint needs: its kind, its document, the file it is exported to, and a comment above it."""

    kind: Kind
    document: Document
    file: str
    comment: str


class Comment:
    """A key of a mapping that stands for a comment, its value, above what follows it; never the first of an entry."""


def plain(value: Any) -> Any:
    """A document without its comments: as the API server gets it."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items() if not isinstance(key, Comment)}
    return [plain(one) for one in value] if isinstance(value, list) else value


def bundle_files(endpoint: str, parts: Iterable[Part]) -> dict[str, bytes]:
    """The files of an endpoint's objects, with a kustomization of them all, which is the last."""
    files: dict[str, list[tuple[str, Document]]] = {}
    for part in parts:
        files.setdefault(part.file, []).append((part.comment, part.document))
    kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": [*files]}
    files[KUSTOMIZATION] = [(f"The endpoint {endpoint}: kubectl apply --kustomize.", kustomization)]
    return {file: text(documents) for file, documents in files.items()}


def text(documents: Iterable[tuple[str, Document]]) -> bytes:
    """The text of documents, each with a comment above it."""
    parts = []
    for head, document in documents:
        lines = "".join(f"# {line}\n" for line in head.splitlines())
        parts.append(f"---\n{lines}{_commented(document)}")
    return "".join(parts).encode()


def _commented(document: Document) -> str:
    """The text of a document; a comment is dumped as a key that is nowhere else in it, and then written as it is."""
    bare, count = yaml_text(plain(document)), 0
    while (mark := f"turnout-comment-{count}-") in bare:
        count += 1
    comments: list[str] = []
    marked = _marked(document, mark, comments)
    if not comments:
        return bare
    written = yaml_text(marked)
    shown = re.compile(rf"^( *){mark}(\d+): 0$", re.MULTILINE)
    return shown.sub(lambda found: f"{found[1]}# {comments[int(found[2])]}", written)


def _marked(value: Any, mark: str, comments: list[str]) -> Any:
    if isinstance(value, Mapping):
        found = {}
        for key, one in value.items():
            if isinstance(key, Comment):
                found[f"{mark}{len(comments)}"] = 0
                comments.append(" ".join(one.split()))
            else:
                found[key] = _marked(one, mark, comments)
        return found
    return [_marked(one, mark, comments) for one in value] if isinstance(value, list) else value
