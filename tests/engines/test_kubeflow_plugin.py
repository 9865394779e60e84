"""Kubeflow Pipelines: every pipeline of the corpus is parsed by kfp's own tools and run by kfp.local."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from installed import need

from turnout.testing.orchestrator import OrchestratorSuite


@pytest.fixture(autouse=True)
def _kfp() -> None:
    need("kfp", "2.17")


def parse(document: bytes) -> None:
    """Hold a specification against the protobufs, which refuse what they do not know, and load it as a user does."""
    from google.protobuf import json_format
    from kfp import components
    from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

    json_format.ParseDict(yaml.safe_load(document), PipelineSpec())
    components.load_component_from_text(document.decode())


@pytest.mark.filterwarnings("ignore")
class TestKubeflowLocal(OrchestratorSuite):
    @pytest.fixture
    def stack(self, tmp_path: Any) -> dict[str, Any]:
        return {
            "orchestrator": {"type": "kubeflow-local", "folder": str(tmp_path / "kubeflow")},
            "artifact_store": {"root": str(tmp_path / "store")},
        }

    def check_bundle(self, bundle: Any, plan: Any) -> None:
        parse(bundle.files["pipeline.yaml"])
