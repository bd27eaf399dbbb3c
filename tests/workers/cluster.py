"""A real Ray cluster on this machine's loopback, one raylet per address (never 127.0.0.1, which Ray rewrites)."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RAY = Path(sys.executable).parent / "ray"
HEAD, NODE = "127.0.0.2", "127.0.0.3"
ENVIRONMENT = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}


@dataclass(frozen=True)
class Cluster:
    """A head and one more node, each with one CPU."""

    address: str

    def kill_last_node(self, signal: int) -> None:
        """End the raylet of the node that is not the head, without warning."""
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal() and self._is_last_raylet(folder):
                os.kill(int(folder.name), signal)

    def _is_last_raylet(self, folder: Path) -> bool:
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
        except (FileNotFoundError, ProcessLookupError, PermissionError):  # ended, or another user's
            return False
        is_ours = any(self.address in word for word in words)
        return words[0].endswith("/raylet") and f"--node_ip_address={NODE}" in words and is_ours


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HEAD, 0))
        return int(probe.getsockname()[1])


def _start(*words: str) -> None:
    command = [str(RAY), "start", "--num-cpus=1", "--disable-usage-stats", *words]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **ENVIRONMENT}, timeout=300)


@contextmanager
def a_cluster() -> Iterator[Cluster]:
    """Start it, and stop it at the end."""
    port = _free_port()
    cluster = Cluster(address=f"{HEAD}:{port}")
    try:
        _start("--head", f"--node-ip-address={HEAD}", f"--port={port}", "--include-dashboard=false")
        _start(f"--address={cluster.address}", f"--node-ip-address={NODE}")
        yield cluster
    finally:
        subprocess.run([str(RAY), "stop", "--force"], capture_output=True, timeout=120, check=False)
