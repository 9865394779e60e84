"""The corpus as a project of its own, and the stack of an author to run it on."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from turnout.api.launch import Launch
from turnout.api.pipeline import Pipeline
from turnout.api.run import Run
from turnout.api.workspace import Workspace
from turnout.artifacts.artifacts import Artifacts
from turnout.components.kinds import MATERIALIZER
from turnout.components.orchestrator import Orchestrator, RunHandle
from turnout.components.registry import Registry
from turnout.materializers.choice import Materializers
from turnout.model.capability import Capability
from turnout.model.records import Options
from turnout.project.project import load
from turnout.stores.local import LocalStore
from turnout.testing.cases import PASSWORD, SCRATCH, Case
from turnout.testing.evidence import StepEvidence, evidence

SOURCE = Path(__file__).with_name("corpus")
Submit = Callable[[Launch, Mapping[str, Any], Options], RunHandle]
Stack = Mapping[str, Any] | str | Path


class Corpus:
    """The project, copied into a folder of its own and imported from there; and local runs to hold others against."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        (self.secrets / "corpus_password").write_text(PASSWORD, encoding="utf-8")
        root = Path(shutil.copytree(SOURCE, folder / "corpus", ignore=shutil.ignore_patterns("__pycache__")))
        self.project = load(root.resolve())
        self._references: dict[str, dict[str, StepEvidence]] = {}

    @cached_property
    def module(self) -> Any:
        """The module with the pipelines."""
        self.project.on_path()
        importlib.invalidate_caches()
        return importlib.import_module("corpus_pipelines")

    def close(self) -> None:
        """Forget the module, and the folder it came from."""
        sys.modules.pop("corpus_pipelines", None)
        sys.path[:] = [entry for entry in sys.path if entry != str(self.project.root)]

    def reference(self, case: Case) -> dict[str, StepEvidence]:
        """What the case leaves when it runs on the local stack; run once."""
        if case.name not in self._references:
            folder = Path(tempfile.mkdtemp(prefix="reference-", dir=self.folder))
            settings = {
                "orchestrator": {"type": "local", "workers": 2, "logs": str(folder / "logs")},
                "artifact_store": {"root": str(folder / "store")},
            }
            run = Trial(self, settings, folder).run(case)
            self._references[case.name] = evidence(run)
        return self._references[case.name]


class Trial:
    """The corpus bound to a stack.

    Args:
        stack: a stack as a mapping, as YAML text, or as the path of a file. The secret store is the corpus' own
            where it names none.
        folder: a folder for this trial alone.
    """

    def __init__(self, corpus: Corpus, stack: Stack, folder: Path, registry: Registry | None = None) -> None:
        self.corpus = corpus
        self.folder = folder
        secrets = {"type": "files", "folder": str(corpus.secrets)}
        document = {"extends": "local", "secrets": secrets, **_settings(stack)}
        file = folder / "stack-of-the-trial.yaml"
        file.write_text(json.dumps(document), encoding="utf-8")
        self.workspace = Workspace(corpus.project, str(file), registry)

    @property
    def orchestrator(self) -> Orchestrator[Any]:
        """The stack's orchestrator."""
        return self.workspace.orchestrator

    def support(self, capability: Capability) -> str:
        """What the orchestrator says of a capability."""
        return self.orchestrator.supports.get(capability, "refused")

    @property
    def refused(self) -> tuple[str, ...]:
        """The names of all capabilities that the orchestrator does not have."""
        return tuple(one.value for one in Capability if self.support(one) == "refused")

    def pipeline(self, name: str) -> Pipeline:
        """A pipeline of the corpus."""
        pipeline: Pipeline = getattr(self.corpus.module, name)
        return pipeline

    def launch(self, name: str, *, accept: tuple[str, ...] = ()) -> Launch:
        """A pipeline of the corpus, planned for the stack."""
        return Launch(self.pipeline(name), self.workspace, accept=accept)

    def params(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters, with a folder of this trial's where one is asked for."""
        scratch = str(self.folder / "scratch")
        return {name: scratch if value == SCRATCH else value for name, value in given.items()}

    def run(self, case: Case, submit: Submit = Launch.submit, patience: float = 300.0) -> Run:
        """Run a case to its end.

        Raises:
            AssertionError: when it has not ended in time.
        """
        launch = self.launch(case.pipeline)
        handle = submit(launch, self.params(case.params), Options(at=case.at, no_cache=True))
        state = handle.wait(patience)
        assert state != "running", f"the run has not ended within {patience:g} seconds"
        run = Run(handle.run_id, workspace=self.workspace)
        assert run.info.engine_run == handle.engine_run
        return run

    def expected_digests(self, run: Run, step: str, output: str, value: Any) -> tuple[str, ...]:
        """The digests that a value has as that output of a step."""
        declared = next(one for one in run.plan.by_name[step].outputs if one.name == output)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            materializers = Materializers(self.workspace.registry.all(MATERIALIZER))
            artifacts = Artifacts(LocalStore.from_url(folder), materializers, Path(folder, "work"))
            return artifacts.save(value, declared).digests


def _settings(stack: Stack) -> dict[str, Any]:
    if isinstance(stack, Mapping):
        return dict(stack)
    import yaml

    text = stack.read_text(encoding="utf-8") if isinstance(stack, Path) else stack
    settings: dict[str, Any] = yaml.safe_load(text)
    return settings
