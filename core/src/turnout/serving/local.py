"""The built-in deployer: endpoints served on this machine, by processes that outlive the shell."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec

from turnout.base.background import Background, last_line, see_free
from turnout.base.errors import ConfigError, DeployError
from turnout.components.artifact_store import ArtifactStore
from turnout.components.base import Config, LocalPath
from turnout.components.deployer import Deployer, EndpointStatus, VersionStatus
from turnout.components.orchestrator import Bundle
from turnout.model.endpoint_plan import EndpointPlan
from turnout.runtime.store import worker_store
from turnout.serving.client import ask
from turnout.serving.endpoint_folder import EndpointFolder, Serving, Share, Wanted
from turnout.serving.generation import KILLING
from turnout.serving.interpreter import interpreter_for

PATIENCE = 300.0
"""Seconds within which a version must be ready."""
_LEAVING = 5.0
"""Seconds within which the processes that served an endpoint let go of its port when they end."""
_PAUSE = 0.05


class LocalDeployerConfig(Config, frozen=True, kw_only=True):
    """Settings of the local deployer."""

    folder: Annotated[LocalPath, msgspec.Meta(description="Where endpoints are kept.")] = ".turnout/endpoints"
    host: Annotated[str, msgspec.Meta(description="The address it listens on; beyond loopback others can ask.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, msgspec.Meta(description="The port; 0 for one that is free.", ge=0, le=65535)] = 0
    workers: Annotated[int, msgspec.Meta(description="How many processes answer.", ge=1, le=256)] = 1
    hosts: Annotated[
        tuple[str, ...], msgspec.Meta(description="Names besides loopback's that clients may call it by; * for any.")
    ] = ()
    max_rows: Annotated[int, msgspec.Meta(description="The rows of a request at most.", ge=1)] = 10_000
    max_bytes: Annotated[int, msgspec.Meta(description="The bytes of a request at most.", ge=1)] = 16 << 20
    receive_timeout: Annotated[
        float,
        msgspec.Meta(description="Seconds within which a request's headers must have come, then its body.", gt=0),
    ] = 60.0
    stop_timeout: Annotated[
        float,
        msgspec.Meta(
            description="Seconds that requests have for their answers when their process is replaced or stopped.", gt=0
        ),
    ] = 60.0
    errors: Annotated[
        str, msgspec.Meta(description="What clients are told of errors: named or generic.", pattern="^(named|generic)$")
    ] = "named"


class LocalDeployer(Deployer[LocalDeployerConfig]):
    """Serves endpoints on this machine."""

    name = "local"
    local = True
    Config = LocalDeployerConfig
    capabilities: ClassVar[Any] = {"canary": "native", "promote": "native", "logs": "native", "replicas": "native"}

    def compile(self, endpoint: EndpointPlan) -> Bundle:
        return Bundle(files={"endpoint.json": endpoint.encode()}, entrypoint="endpoint.json")

    def deploy(
        self, endpoint: EndpointPlan, bundle: Bundle, store: ArtifactStore[Any], *, share: float = 1.0
    ) -> EndpointStatus:
        if not 0 < share <= 1:
            raise DeployError(
                f"a share of {share:g} of the requests cannot be given", fix="give more than 0, at most 1"
            )
        folder = self._folder(endpoint.name)
        before = folder.wanted
        live = before.versions[0].version if before is not None else None
        versions: tuple[Share, ...] = (Share(version=endpoint.digest, share=1.0),)
        if share < 1:
            if live is None or live == endpoint.digest:
                what, fix = "has no live version", "deploy it without --share"
                if live is not None:
                    what = f"answers by the version {live[:12]} already, and a canary is another one"
                    fix = "run the pipeline anew, or edit a step, and deploy that"
                raise DeployError(f"the endpoint {endpoint.name} {what}", fix=fix)
            versions = (Share(version=live, share=1 - share), Share(version=endpoint.digest, share=share))
        interpreter_for(endpoint, store)  # where it cannot be made, nothing is kept
        folder.keep(endpoint)
        return self._change(endpoint.name, versions, store.environment())

    def promote(self, name: str) -> EndpointStatus:
        wanted = self._wanted(name)
        if len(wanted.versions) < 2:
            raise DeployError(
                f"the endpoint {name} has no canary", fix="deploy one: turnout deploy ENDPOINT --share 0.1"
            )
        return self._change(name, (msgspec.structs.replace(wanted.versions[-1], share=1.0),), wanted.environment)

    def rollback(self, name: str) -> EndpointStatus:
        wanted = self._wanted(name)
        if len(wanted.versions) > 1:
            return self._change(name, (msgspec.structs.replace(wanted.versions[0], share=1.0),), wanted.environment)
        if not wanted.before:
            raise DeployError(
                f"the endpoint {name} has no version before this one",
                fix="deploy what an earlier run made: turnout deploy ENDPOINT --run RUN",
            )
        return self._change(name, (Share(version=wanted.before[-1], share=1.0),), wanted.environment, back=True)

    def status(self, name: str) -> EndpointStatus:
        folder = self._folder(name)
        wanted, serving = folder.wanted, folder.serving
        if wanted is None:
            return EndpointStatus(name=name, state="absent")
        running = bool(Background(folder.processes).running)
        if not running:
            why = last_line(folder.log) or "its process ended"
            return EndpointStatus(name=name, state="failed", message=f"{why}; start it: turnout endpoints start {name}")
        if serving is None:
            return EndpointStatus(name=name, state="starting")
        versions = tuple(VersionStatus(version=one.version, share=one.share) for one in serving.versions)
        state = serving.state if serving.generation == wanted.generation else "starting"
        if state == "failed" and versions:  # those before it go on answering
            state = "ready"
        return EndpointStatus(name=name, state=state, url=serving.url, versions=versions, message=serving.message)

    def list(self) -> tuple[EndpointStatus, ...]:
        folder = Path(self.config.folder)
        names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        return tuple(status for name in names if (status := self.status(name)).state != "absent")

    def start(self, name: str) -> EndpointStatus:
        wanted = self._wanted(name)
        return self._change(name, wanted.versions, wanted.environment, same=True)

    def logs(self, name: str, *, follow: bool = False) -> Iterator[str]:
        self._wanted(name)
        folder = self._folder(name)
        with folder.log.open(errors="replace") as log:
            while True:
                yield from (line.rstrip("\n") for line in log)
                if not follow or folder.wanted is None:
                    return
                time.sleep(_PAUSE)

    def predict(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        folder, status = self._folder(name), self.status(name)
        if status.state == "absent" or not status.url:
            raise DeployError(f"the endpoint {name} is {status.state}", fix="deploy it: turnout deploy ENDPOINT")
        assert folder.wanted is not None
        table = folder.plan(folder.wanted.versions[0].version).table
        body = {} if table is None else {table.name: rows}
        answer: Sequence[Any] = ask(f"{status.url}/predict", body)["predictions"]
        return answer

    def delete(self, name: str) -> None:
        folder = self._folder(name)
        wanted = folder.wanted
        Background(folder.processes).stop(0.0 if wanted is None else wanted.stop_timeout + 2 * KILLING)
        shutil.rmtree(folder.path, ignore_errors=True)

    def _folder(self, name: str) -> EndpointFolder:
        return EndpointFolder(Path(self.config.folder).absolute() / name)

    def _wanted(self, name: str) -> Wanted:
        wanted = self._folder(name).wanted
        if wanted is None:
            raise DeployError(f"there is no endpoint {name}", fix="deploy it: turnout deploy ENDPOINT")
        return wanted

    def _change(
        self,
        name: str,
        versions: tuple[Share, ...],
        environ: dict[str, str],
        *,
        back: bool = False,
        same: bool = False,
    ) -> EndpointStatus:
        """Let the endpoint's supervisor, started where there is none, bring up these versions, and wait for it."""
        folder = self._folder(name)
        old, serving = folder.wanted, folder.serving
        store = worker_store(environ)
        before = () if old is None else old.before
        if back:
            before = before[:-1]
        elif old is not None and not same and old.versions[0].version != versions[0].version:
            before = (*before, old.versions[0].version)
        config = self.config
        wanted = Wanted(
            generation=0 if old is None else old.generation + 1,
            versions=tuple(
                msgspec.structs.replace(one, interpreter=interpreter_for(folder.plan(one.version), store))
                for one in versions
            ),
            before=before,
            environment=environ,
            host=config.host,
            port=config.port or _port(serving),
            workers=config.workers,
            rows=config.max_rows,
            bytes=config.max_bytes,
            hosts=config.hosts,
            named_errors=config.errors == "named",
            receive_timeout=config.receive_timeout,
            stop_timeout=config.stop_timeout,
        )
        background = Background(folder.processes)
        if not background.running and wanted.port:
            _await_port(wanted.port, patience=_LEAVING if wanted.port == _port(serving) else 0.0)
        folder.wanted = wanted
        if not background.running:
            shutil.rmtree(folder.metrics, ignore_errors=True)
            command = [sys.executable, "-m", "turnout.serving", str(folder.path)]
            background.start("supervisor", command, folder.log, os.environ)
        status = self._settled(folder, wanted, background)
        if status.state == "failed" and old is not None and not same:
            kept = msgspec.structs.replace(old, generation=wanted.generation)
            folder.wanted = kept
        elif status.state == "failed" and old is None:
            background.stop()
        if status.state == "failed":
            raise DeployError(
                f"the endpoint {name} cannot be served",
                why=status.message,
                fix=f"see turnout endpoints logs {name}"
                + ("; the version before goes on answering" if old is not None and not same else ""),
            )
        return status

    def _settled(self, folder: EndpointFolder, wanted: Wanted, background: Background) -> EndpointStatus:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            serving = folder.serving
            if serving is not None and serving.generation == wanted.generation and serving.state != "starting":
                status = self.status(folder.path.name)
                return msgspec.structs.replace(status, state=serving.state)
            if not background.running:
                why = last_line(folder.log) or "its process ended at once"
                return EndpointStatus(name=folder.path.name, state="failed", message=why)
            time.sleep(_PAUSE)
        return EndpointStatus(name=folder.path.name, state="failed", message=f"not ready within {PATIENCE:g} s")


def _await_port(port: int, patience: float) -> None:
    """See that a port is free; *patience* are seconds in which processes that have just ended may let go of it."""
    until = time.monotonic() + patience
    while True:
        try:
            return see_free(port, "free it, or choose another in the stack: deployer: {type: local, port: 0}")
        except ConfigError:
            if time.monotonic() > until:
                raise
        time.sleep(_PAUSE)


def _port(serving: Serving | None) -> int:
    """The port that the endpoint had: clients know it."""
    return int(serving.url.rpartition(":")[2]) if serving is not None and serving.url else 0
