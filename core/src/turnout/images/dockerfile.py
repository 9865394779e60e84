"""The files that a container image is built from: a Dockerfile to be read, exact pins, wheels, and code if wanted.

One that serves an endpoint has its plan and a store with what it is bound to, and starts by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from turnout.base import canonical

HOME = "/opt/turnout"
"""The folder of an image that holds what turnout put there."""
MARK = "Made by `turnout image build`"
"""What tells a Dockerfile of turnout's own from anyone else's."""
SECRET = "pip"  # noqa: S105
"""The name of the build secret that is pip's configuration."""
_DOCKERFILE = """\
{head}
# {mark}; make it anew when the lock changes.
FROM {base}

RUN python -c "import sys; assert sys.version_info[:2] == {minor}, sys.version"

# Where turnout keeps code packages and environments, whichever user the engine runs it as.
RUN mkdir -p {home}/cache/code {home}/cache/environments && chmod -R 1777 {home}/cache
ENV TURNOUT_CACHE={home}/cache

# What an index asks for is given while building, as the secret `{secret}` (pip's configuration): no layer has it.
COPY requirements.txt {home}/
RUN --mount=type=secret,id={secret} \\
    {pip} --requirement {home}/requirements.txt

{wheels}COPY turnout.txt {home}/
RUN --mount=type=secret,id={secret} \\
    {pip} --requirement {home}/turnout.txt
{baked}{served}
# Nobody in particular, by number: so Kubernetes can tell that it is not root.
ENV HOME=/tmp
USER 1000:1000
"""
_STEPS = """\
# Steps of the project {project} run in it: Python {python}, the exact versions they are locked to{code} and turnout.
# An engine says which step it starts, so there is no entry point.\
"""
_ENDPOINT = """\
# Serves the endpoint {endpoint} of the project {project}, version {version}, on port 8080: Python {python}, the exact
# versions that its run was locked to, its code, what it is bound to, and turnout.\
"""
_SERVED = """
# The plan, and a store with the artifacts that it is bound to; another one is named by TURNOUT_STORE.
COPY endpoint.json {home}/
COPY store/ {home}/store/
ENV TURNOUT_ENDPOINT={home}/endpoint.json TURNOUT_STORE={home}/store
EXPOSE 8080
CMD ["python", "-m", "turnout.serving", "container"]
"""
_BAKED = """
# The code package, where a worker would unpack the one of the store.
COPY code/ {home}/cache/code/{digest}/
"""


class Wheel(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution that no index has, as a wheel."""

    name: str
    file: str
    data: bytes


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """What one image holds.

    ``pins`` are what the steps are locked to, ``own`` the pins of turnout, its plugins and what these need besides.
    ``local`` has the digest of each distribution that no index has. ``code`` is the digest of the code package in it;
    without one, workers take the code from the store. One that serves has the name of its ``endpoint``, and the digest
    of its plan as ``version``.
    """

    project: str
    base: str
    python: str
    pins: tuple[str, ...]
    own: tuple[str, ...]
    local: dict[str, str] = {}
    code: str = ""
    endpoint: str = ""
    version: str = ""

    @property
    def digest(self) -> str:
        """The SHA-256 of what decides about its content."""
        text = dockerfile(self, wheels=bool(self.local))
        return canonical.digest_of([text, self.pins, self.own, self.local])

    @property
    def tag(self) -> str:
        """The name it has where none is given: the project's, the endpoint's, and the beginning of the digest."""
        name = re.sub(r"[^a-z0-9]+", "-", f"{self.project} {self.endpoint}".lower()).strip("-") or "pipeline"
        return f"{name}:{self.digest[:12]}"


def files(image: Image, wheels: Sequence[Wheel] = ()) -> dict[str, bytes]:
    """The files of the folder it is built in, by their paths, but for those of the code package in ``code``."""
    own = [*image.own, *(f"{wheel.name} @ file://{HOME}/wheels/{wheel.file}" for wheel in wheels)]
    return {
        "Dockerfile": dockerfile(image, wheels=bool(wheels)).encode(),
        "requirements.txt": _lines(image.pins),
        "turnout.txt": _lines(sorted(own)),
        **{f"wheels/{wheel.file}": wheel.data for wheel in wheels},
    }


def dockerfile(image: Image, *, wheels: bool) -> str:
    """The text of the Dockerfile: first what changes least."""
    head = (_ENDPOINT if image.endpoint else _STEPS).format(
        project=image.project,
        python=image.python,
        code=", their code" if image.code else "",
        endpoint=image.endpoint,
        version=image.version[:12],
    )
    return _DOCKERFILE.format(
        head=head,
        mark=MARK,
        base=image.base,
        minor=tuple(int(part) for part in image.python.split(".")),
        home=HOME,
        secret=SECRET,
        pip=f"PIP_CONFIG_FILE=/run/secrets/{SECRET} python -m pip install --no-cache-dir --no-deps",
        wheels=f"COPY wheels/ {HOME}/wheels/\n" if wheels else "",
        baked=_BAKED.format(home=HOME, digest=image.code) if image.code else "",
        served=_SERVED.format(home=HOME) if image.endpoint else "",
    )


def _lines(items: Sequence[str]) -> bytes:
    return "".join(f"{item}\n" for item in items).encode()
