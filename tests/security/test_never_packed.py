"""Files that hold credentials never travel, though git tracks them and the project includes them."""

from __future__ import annotations

import subprocess

import pytest

from turnout.project import code, never
from turnout.project.project import load

CREDENTIALS = [
    ".env", ".env.local", "prod.env", "config/Prod.ENV", "tls.pem", "tls.key", "a.p12", "a.pfx", "store.jks", "x.keystore",
    "x.kdbx", "x.ppk", "x.keytab", ".netrc", "_netrc", "id_rsa", "keys/id_ed25519", "id_ecdsa_sk", "deploy_rsa",
    ".git-credentials", ".pgpass", ".my.cnf", ".pypirc", ".npmrc", ".dockercfg", ".docker/config.json", ".ssh/config",
    ".aws/credentials", ".kube/config", "kubeconfig", ".boto", ".s3cfg", ".htpasswd", "pip.conf", "credentials.json",
    "credentials", "application_default_credentials.json", "client_secret_1.apps.json", "service-account-prod.json",
    "secrets.yaml", ".streamlit/secrets.toml", "db.secret", ".vault-token", "kaggle.json", "token.json", "prod.tfvars", "x.tfstate",
]  # fmt: skip
CODE = [
    "env.py", "environment.yml", "secrets.py", "secrets/__init__.py", "tokens/vocabulary.txt", "tokens.txt", "credentials/a.py",
    "id_rsa.pub", "keys.py", "key.txt", "pem.py", "netrc.py", "data.json", "config.json", "credentials.py", "monkey",
    "envs/a.txt", "service_account.py", "secret_santa.csv", "passwords_strength.py", "rsa.py", "pip.py",
]  # fmt: skip


@pytest.mark.parametrize("path", CREDENTIALS)
def test_what_is_a_credential(path):
    assert never.is_credential(path)
    assert never.is_credential(f"deep/folder/{path}")


@pytest.mark.parametrize("path", CODE)
def test_what_is_none(path):
    assert not never.is_credential(path)
    assert not never.is_credential(f"deep/folder/{path}")


@pytest.mark.parametrize("git", [True, False])
def test_none_is_packed(tmp_path, git):
    (tmp_path / "pyproject.toml").write_text(
        "[project]\nname = 'demo'\nversion = '1'\n[tool.turnout.code]\ninclude = ['*', '.*', '.*/**']\n"
    )
    for path in [*CREDENTIALS, *CODE]:
        if path not in ("credentials", "secrets.py"):  # there are folders of these names
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text("kanary")
    (tmp_path / "link.txt").symlink_to("id_rsa")
    if git:
        for command in ("init -q", "add -A -f"):
            subprocess.run(["git", *command.split()], cwd=tmp_path, check=True)
    package = code.build(load(tmp_path))
    assert not [path for path in package.files if never.is_credential(path)]
    assert "link.txt" not in package.files
    assert {"secrets/__init__.py", "tokens/vocabulary.txt", "id_rsa.pub", "credentials/a.py"} <= set(package.files)
    assert any(note.startswith("id_rsa: left out, it may hold a secret") for note in package.notes)
