"""The artifact store passes its suite."""

import pytest

from turnout.testing.artifact_store import ArtifactStoreSuite
from turnout_specimen.artifact_store import SpecimenArtifactStore, SpecimenSettings


class TestSpecimenArtifactStore(ArtifactStoreSuite):
    @pytest.fixture
    def store(self, tmp_path):
        return SpecimenArtifactStore(SpecimenSettings(root=str(tmp_path / "store" / "objects.db")))
