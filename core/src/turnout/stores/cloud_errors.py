"""Errors of cloud stores in plain words, made from what is known to be harmless in the client's own texts."""

from __future__ import annotations

import re

from turnout.base.errors import ArtifactError

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
_NO_BUCKET = re.compile(r"<Code>(NoSuchBucket|ContainerNotFound)</Code>|bucket does not exist", re.IGNORECASE)
_METADATA = re.compile(r"169\.254\.169\.254|metadata\.google|/latest/api/token|computeMetadata")
_NO_CERTIFICATES = (
    "there are no certificates here by which a server could be trusted",
    "install ca-certificates in the image or on the machine, or let SSL_CERT_FILE name a file of them",
)
_NOT_ENCRYPTED = (
    "its endpoint is a plain http:// URL",
    "use https://, or allow it (allow_http: true, AWS_ALLOW_HTTP=true)",
)


def is_about_bucket(error: Exception) -> bool:
    """Whether the server said that there is no such bucket."""
    return _NO_BUCKET.search(str(error)) is not None


def explain(error: Exception, action: str, key: str, address: str, server: str) -> ArtifactError:
    """The error to raise instead.

    Args:
        error: what the client raised.
        action: what was tried: ``read``.
        key: the object, or an empty string.
        address: the store, without credentials.
        server: who was asked, for the reader.
    """
    why, fix = _reason(error, server)
    what = f"{key} in the artifact store {address}" if key else f"the artifact store {address}"
    return ArtifactError(f"cannot {action} {what}", why=why, fix=fix)


def _reason(error: Exception, server: str) -> tuple[str, str]:
    text = str(error)
    status, code = _STATUS.search(text), _CODE.search(text)
    number = status.group(1) if status else ""
    said = " ".join(filter(None, (number, code.group(1) if code else "")))
    if isinstance(error, OSError) and error.errno is not None:
        return f"the local file: {error.strerror}", "check the local disk"
    if is_about_bucket(error):
        return "there is no such bucket", "create the bucket, or correct the root in the stack"
    if _METADATA.search(text):
        return (
            "no credentials were found, neither in the stack, nor in the environment, nor as this machine's role",
            "set 'credentials' in the stack, or the cloud's own variables (AWS_ACCESS_KEY_ID, …) where this runs",
        )
    if number in {"401", "403"} or type(error).__name__ in {"PermissionDeniedError", "UnauthenticatedError"}:
        return (
            f"{server} refused the credentials ({said or 'not permitted'})",
            "check them, and that they may read, write, list and delete below the root",
        )
    if "kind: Connect" in text:
        return f"nobody answers at {server}", "check the endpoint, the region and the network"
    if "kind: Timeout" in text:
        return f"{server} did not answer in time", "check the network, or raise the setting 'timeout'"
    if "kind: Builder" in text:
        return _NO_CERTIFICATES if "No CA certificates" in text else _NOT_ENCRYPTED
    if said:
        return f"{server} answered {said}", "try again later, or look the code up in the server's manual"
    if type(error).__name__ == "UnknownConfigurationKeyError":
        return "it does not know one of the settings", "correct 'options' or the names in the credentials"
    return f"obstore: {type(error).__name__}", "check the root's URL, the endpoint and the credentials"
