"""Waiting until what was applied serves: the tool says so, and so do the pods of each version."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from turnout.plugin_api import DeployError
from turnout_kubernetes.progress import answers, complaint, lives
from turnout_kubernetes.versions import Release

if TYPE_CHECKING:
    from turnout_kubernetes.deployer import Document, KubernetesDeployer

_LAST_LINES = 5


def settled(deployer: KubernetesDeployer[Any], name: str, endpoint: str, release: Release) -> Document:
    """Wait until all versions of a release are ready; gives the main object as it is then.

    A tool may say for a while what was so before the change, and a Deployment whose new pods do not start counts as
    available by its old ones. So each version that is to answer must have pods, and these must be ready.

    Args:
        name: the endpoint's name on the cluster.

    Raises:
        DeployError: when it fails, or is not ready in time.
    """
    cluster, patience = deployer.cluster, deployer.config.patience
    until = time.monotonic() + patience
    while True:
        main = cluster.get(deployer.main, name)
        if main is None:
            raise DeployError(f"the endpoint {endpoint} was deleted meanwhile", fix="deploy it again")
        state = deployer.state(main, name)
        pods = {one: list(filter(lives, deployer.endpoint_pods(name, {one}))) for one in release.shown}
        waiting = [one for one, found in pods.items() if not found or not all(map(answers, found))]
        if state.phase == "ready" and not waiting:
            return main
        found = complaint(pod for some in pods.values() for pod in some)
        late = time.monotonic() > until
        if state.phase == "failed" or found is not None or late:
            why = state.message or (f"pods of {', '.join(waiting)} are not ready" if waiting else "")
            why = found.text if found is not None else why or "the tool does not say why"
            if found is not None and found.logged:
                lines = list(cluster.log(found.pod, found.container, lines=_LAST_LINES))
                why = "; ".join([why, *(line.strip() for line in lines)])
            waited = f" within {patience:g} s" if late and found is None else ""
            raise DeployError(
                f"the endpoint {endpoint} does not get ready{waited}",
                why=why,
                fix=f"see turnout endpoints logs {endpoint}, and mend what it names",
            )
        time.sleep(deployer.config.poll)
