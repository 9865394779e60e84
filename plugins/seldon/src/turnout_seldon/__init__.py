"""turnout on Seldon Core: the deployers ``seldon`` (Core v1) and ``seldon-v2``."""

from __future__ import annotations

from turnout.plugin_api import Lazy, hookimpl


@hookimpl
def turnout_deployers() -> tuple[Lazy, ...]:
    """The deployers ``seldon`` and ``seldon-v2``."""
    return (
        Lazy("seldon", "turnout_seldon.deployer:SeldonDeployer"),
        Lazy("seldon-v2", "turnout_seldon.deployer_v2:SeldonV2Deployer"),
    )
