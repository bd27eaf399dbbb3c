"""Workers of the user's own Ray cluster (extra ``seedcorn[ray]``). The only file that imports ray.

A piece of work whose worker or node is lost is done again elsewhere: pieces are pure, so that changes
nothing but time. Nodes must run this very code, which is checked before any work goes out.
"""

import hashlib
import logging
import os
import platform
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import seedcorn
from seedcorn.errors import InputError

C = TypeVar("C")
T = TypeVar("T")
R = TypeVar("R")

RETRIES = 10
"""How often a piece is given out again when its worker dies: clusters lose nodes, but work that kills
every worker it meets (for want of memory, say) must come to an end."""

PROBE_S = 5.0
"""How long a cluster's head may take to accept a connection."""

_NUMERIC = ("numba", "numpy", "highspy")  # packages whose version may change the last digit


class RayWorkers:
    """Workers of a connected cluster; made by :func:`ray_workers`."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    def map(self, task: Callable[[C, T], R], context: C, items: Sequence[T]) -> Iterator[R]:
        """See :meth:`seedcorn.workers.Workers.map`.

        Raises:
            InputError: The cluster lost a piece of work too often.
        """
        remote = self._ray.remote(max_retries=RETRIES, num_cpus=1)(task)
        shared = self._ray.put(context)
        pending = deque(remote.remote(shared, item) for item in items)
        try:
            while pending:
                yield self._result(pending.popleft())
        finally:  # an error or an interrupt: the rest is nobody's any more
            for piece in pending:
                self._ray.cancel(piece, force=True)

    def _result(self, piece: Any) -> Any:
        from ray.exceptions import RayError, RayTaskError

        try:
            return self._ray.get(piece)
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            lost = str(error).strip().splitlines()[0]
            raise InputError(f"the Ray cluster lost a piece of work {RETRIES + 1} times: {lost}") from None


@contextmanager
def ray_workers(address: str) -> Iterator[RayWorkers]:
    """Connect to the cluster at ``address`` (host:port, or ``auto``), and leave it at the end.

    Raises:
        InputError: Ray is not installed, no cluster answers there, or a node runs other code than this.
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise InputError("--ray needs Ray, which is not installed: pip install 'seedcorn[ray]'") from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the cluster
    if address != "auto":
        _check_answers(address)
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        reason = str(error).strip().splitlines()[0]
        message = (
            f"no Ray cluster answers at {address!r}: {reason}; 'ray status --address {address}' tells more"
        )
        raise InputError(message) from None
    try:
        _check_nodes(ray)
        yield RayWorkers(ray)
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Raise ``InputError`` unless something listens at ``address``: Ray itself would try for five minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise InputError(f"--ray {address!r} is not the address of a cluster: give host:port, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_S).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"no Ray cluster answers at {address!r}: {error}") from None


def _check_nodes(ray: Any) -> None:
    """Raise ``InputError`` unless every node that can work runs this code on these packages."""
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    if not nodes:
        raise InputError("no node of the Ray cluster has a CPU to work with")
    ours = code_identity()
    asked = ray.remote(max_retries=0, num_cpus=0)(code_identity)
    for node in nodes:
        where = node["NodeManagerAddress"]
        on_node = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        try:
            theirs = ray.get(asked.options(scheduling_strategy=on_node).remote())
        except RayError as error:
            reason = str(error).strip().splitlines()[-1]
            message = f"node {where} of the Ray cluster cannot run seedcorn ({reason}): install it there"
            raise InputError(message) from None
        if theirs != ours:
            raise InputError(
                f"node {where} of the Ray cluster runs {theirs}, this machine {ours}: results could differ; install the same"
            )


def code_identity() -> str:
    """What the last digit of a result depends on: our sources, Python, the numeric packages, the processor's family."""
    digest = hashlib.sha256()
    root = Path(seedcorn.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.read_bytes())
    packages = ", ".join(f"{name} {version(name)}" for name in _NUMERIC)
    return (
        f"seedcorn {version('seedcorn')} ({digest.hexdigest()[:12]}) on Python {platform.python_version()} "
        f"{platform.machine()}, {packages}"
    )
