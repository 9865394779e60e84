"""The containers that other tests use: started by Docker's API, as any user, with a folder of this machine."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.filterwarnings("ignore")
def test_a_container_runs_what_turnout_needs(podman: Any, tmp_path: Any) -> None:
    import docker

    client = docker.DockerClient(base_url=podman.url)
    try:
        script = f"import json, os, obstore, ssl, sqlite3, turnout_kubeflow.launch; open('{tmp_path}/seen', 'w').write(str(os.getuid()))"
        tmp_path.chmod(0o777)
        mounted = {str(tmp_path): {"bind": str(tmp_path), "mode": "rw"}}
        client.containers.run(
            podman.worker_image(), ["python3", "-c", script], remove=True, user="1234:0", volumes=mounted
        )
        assert (tmp_path / "seen").read_text() == "1234"
        with pytest.raises(docker.errors.ContainerError) as caught:
            client.containers.run(podman.python_image(), ["sh", "-c", "exit 7"], remove=True)
        assert caught.value.exit_status == 7
    finally:
        client.close()
