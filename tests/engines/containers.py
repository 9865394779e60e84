"""Containers on this machine: podman as a service on a socket, and images made of what is installed here.

No registry of images is needed: the first image holds this very Python and the libraries it is linked with.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

PYTHON = "localhost/turnout-python:latest"
"""Python with pip, and a shell with what building an image takes; no package besides."""
WORKER = "localhost/turnout-worker:latest"
"""That, with turnout and what its plugins bring to workers."""
ROOT = Path(__file__).parents[2]
_MINOR = f"python{sys.version_info.major}.{sys.version_info.minor}"
_SITE = f"usr/local/lib/{_MINOR}/site-packages"
_UNUSED = {"test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "site-packages", "ensurepip"}
_CONTAINERS = """\
[containers]
default_ulimits = ["nofile=16384:16384", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
tmp_dir = "{folder}/tmp"
static_dir = "{folder}/graph/libpod"
volume_path = "{folder}/graph/volumes"
[network]
network_config_dir = "{folder}/networks"
"""
_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
"""


def need_podman() -> None:
    """Skip where podman cannot be had; with ``CI=true`` that is a failure."""
    missing = [name for name in ("podman", "runc") if not shutil.which(name)]
    if not missing and os.geteuid() == 0:
        return
    reason = f"{' and '.join(missing)} not installed" if missing else "podman is tried as root only"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class Podman:
    """Podman with a storage of its own, serving Docker's API. Use it as a context manager.

    ``url`` is the socket's (``DOCKER_HOST``); ``environment`` is what a process needs to use podman's command on
    the same storage, or Docker's API.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="podman-"))  # a socket's path has at most 107 characters
        self.url = f"unix://{self.folder}/podman.sock"
        (self.folder / "containers.conf").write_text(_CONTAINERS.format(folder=self.folder))
        (self.folder / "storage.conf").write_text(_STORAGE.format(folder=self.folder))
        self.environment = {
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "DOCKER_HOST": self.url,
        }
        self._images: set[str] = set()

    def __enter__(self) -> Podman:  # noqa: PYI034 - Self is of 3.11
        with (self.folder / "service.log").open("wb") as log:
            self._service = subprocess.Popen(
                ["podman", "system", "service", "--time", "0", self.url],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        limit = time.monotonic() + 60
        while not (self.folder / "podman.sock").exists():
            assert self._service.poll() is None, (self.folder / "service.log").read_text()
            assert time.monotonic() < limit, "podman serves nothing within a minute"
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._call("rm", "--force", "--all", "--time", "0")
        os.killpg(self._service.pid, signal.SIGTERM)
        try:
            self._service.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self._service.pid, signal.SIGKILL)
            self._service.wait()
        self._call("rm", "--force", "--all", "--time", "0")  # what was on its way out and busy is gone by now
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in sorted((one for one in mounts if one.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *arguments: str) -> str:
        """Run podman's command on this storage and return what it prints."""
        done = self._call(*arguments)
        assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def succeeds(self, *arguments: str) -> bool:
        """Whether podman's command does what it is asked to."""
        return self._call(*arguments).returncode == 0

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, **self.environment}
        return subprocess.run(["podman", *arguments], env=environ, capture_output=True, text=True, check=False)

    def python_image(self) -> str:
        """The name of an image with this Python, pip, and a shell."""
        if PYTHON not in self._images:
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                packages = Path(folder, _SITE)
                _install(packages, "pip")
                self._load(Path(folder, "python.tar"), PYTHON, [*_python(), (packages, _SITE)])
        return PYTHON

    def worker_image(self) -> str:
        """The name of an image with turnout, its store on S3, and what its plugins bring to workers."""
        if WORKER not in self._images:
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                packages = Path(folder, _SITE)
                plugins = [str(ROOT / "plugins" / name) for name in ("airflow", "kubeflow")]
                _install(packages, f"{ROOT / 'core'}[s3]", *plugins)
                self._load(Path(folder, "worker.tar"), WORKER, [*_python(), (packages, _SITE)])
        return WORKER

    def _load(self, archive: Path, name: str, entries: Sequence[tuple[Path, str]]) -> None:
        """Make an image of files and folders, each given with its place in the image."""
        with tarfile.open(archive, "w") as tar:
            for source, place in entries:
                tar.add(source, place, filter=_as_root)
            for folder in ("tmp", "etc"):
                empty = tarfile.TarInfo(folder)
                empty.type, empty.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
                tar.addfile(empty)
        change = "ENV PATH=/usr/local/bin:/bin"
        self.run("import", "--quiet", "--change", change, str(archive), name)
        self._images.add(name)


def _install(folder: Path, *requirements: str) -> None:
    """Install distributions of an index, at the versions that are tried here, or of folders, into a folder."""
    import uv

    command = [
        uv.find_uv_bin(),
        "pip",
        "install",
        "--quiet",
        "--compile-bytecode",
        "--no-sources",
        "--python",
        sys.executable,
    ]
    command += ["--constraint", str(ROOT / "constraints.txt"), "--target", str(folder), *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _python() -> list[tuple[Path, str]]:
    """This Python without what no step needs, a shell and a few programs, and the libraries they are linked with."""
    library = Path(sysconfig.get_path("stdlib"))
    executable = Path(sys.executable).resolve()
    found = [(executable, f"usr/local/bin/{name}") for name in ("python", "python3", _MINOR)]
    modules = [
        path
        for path in sorted(library.iterdir())
        if path.name not in _UNUSED and not path.name.startswith("config-") and path.suffix != ".a"
    ]
    found += [(path, f"usr/local/lib/{_MINOR}/{path.name}") for path in modules]
    programs = {name: Path("/bin", name).resolve() for name in ("sh", "mkdir", "chmod", "id")}
    found += [(path, f"bin/{name}") for name, path in programs.items()]
    linked = [executable, *programs.values(), *sorted((library / "lib-dynload").glob("*.so"))]
    text = subprocess.run(["ldd", *map(str, linked)], capture_output=True, text=True, check=True).stdout
    libraries = {Path(path) for path in re.findall(r"(?:=> |^\t)(/\S+) \(0x", text, re.MULTILINE)}
    system = next(path.parent for path in libraries if path.name.startswith("libc.so"))
    more = [
        system / name for name in ("libstdc++.so.6", "libgcc_s.so.1", "libpthread.so.0", "libdl.so.2", "librt.so.1")
    ]
    for path in sorted({*libraries, *(one for one in more if one.exists())}):
        if any(word in path.name for word in ("libX", "libx", "libtk", "libtcl", "fontconfig", "freetype")):
            continue
        place = path if path.parent in {system, Path("/lib64")} else system / path.name
        found.append((path.resolve(), str(place).lstrip("/")))
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")  # without any, a client of S3 does not start
    return [*found, (certificates.resolve(), str(certificates).lstrip("/"))]


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if re.search(r"\.opt-[12]\.pyc$|/(tests?|idlelib)/|_tkinter", entry.name):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
