"""The secret store passes its suite."""

import json
from pathlib import Path

import pytest

from turnout.testing.secret_store import SecretStoreSuite
from turnout_specimen.secret_store import SpecimenSecretStore, SpecimenSettings


class TestSpecimenSecretStore(SecretStoreSuite):
    @pytest.fixture
    def secret_store(self, tmp_path):
        return SpecimenSecretStore(SpecimenSettings(file=str(tmp_path / "secrets.json")))

    @pytest.fixture
    def put(self, secret_store):
        def put(name, value):
            path = Path(secret_store.config.file)
            known = json.loads(path.read_text()) if path.exists() else {}
            path.write_text(json.dumps({**known, name: value}))

        return put
