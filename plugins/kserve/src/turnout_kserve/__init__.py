"""turnout on KServe: the deployer ``kserve``."""

from __future__ import annotations

from turnout.plugin_api import Lazy, hookimpl


@hookimpl
def turnout_deployers() -> tuple[Lazy, ...]:
    """The deployer ``kserve``."""
    return (Lazy("kserve", "turnout_kserve.deployer:KServeDeployer"),)
