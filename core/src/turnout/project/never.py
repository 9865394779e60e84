"""What never travels with a project's code, tracked by git or not, included or not: the one list of it."""

from __future__ import annotations

import re

from turnout.project.archive import VALUES

_OWN = re.compile(rf"(?:^|/)(?:\.git|\.turnout|__pycache__|{re.escape(VALUES)})(?:/|$)")
_FOLDERS = r"""
    \.env[^/]*  |  [^/]*\.(?:pem|key)  |  \.(?:ssh|gnupg|aws|kube)
"""
_FILES = r"""
    [^/]*\.env
    [^/]*\.(?:p12|pfx|p8|pkcs12|ppk|jks|keystore|kdbx?|keytab|ovpn|agekey|tfstate|tfvars)
    (?:id|[^/]*_)_?(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?
    [._]netrc  |  \.git-credentials  |  \.?pgpass(?:\.conf)?  |  \.my(?:login)?\.cnf  |  \.htpasswd
    \.(?:pypirc|npmrc|yarnrc|condarc|dockercfg|boto|s3cfg|terraformrc|databrickscfg|vault-token|tokens?)
    pip\.(?:conf|ini)  |  \.?rclone\.conf  |  \.?kubeconfig  |  kaggle\.json  |  \.docker/config\.json
    (?:application_default_)?credentials?(?:\.(?:json|ya?ml|toml|ini|csv|txt|cfg|db))?
    client_secrets?[^/]*\.json  |  token\.(?:json|pickle)  |  service[-_]?account[^/]*\.json
    \.?secrets?\.(?:json|ya?ml|toml|ini|txt|cfg|properties)  |  \.secrets?  |  [^/]*\.secrets?
"""
"""Names of files that hold passwords, tokens or private keys, by their kind; a folder may be called ``credentials``."""


def _alternatives(lines: str) -> str:
    return re.sub(r"\s", "", "|".join(lines.strip().splitlines()))


_CREDENTIAL = re.compile(
    rf"(?:^|/)(?:(?:{_alternatives(_FOLDERS)})(?:/|$)|(?:{_alternatives(_FILES)})$)", re.IGNORECASE
)


def is_own(path: str) -> bool:
    """Whether a relative path lies in a folder of git's, Python's or turnout's own."""
    return _OWN.search(path) is not None


def is_credential(path: str) -> bool:
    """Whether a file at a relative path may hold a credential, by its name."""
    return _CREDENTIAL.search(path) is not None
