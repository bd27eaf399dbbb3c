"""A real cluster of two nodes on this machine: the same bytes as here, whoever dies in the middle."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from seedcorn.errors import InputError
from seedcorn.study import plan_scenario, resolve
from seedcorn.wire import plan_json, read_scenario
from seedcorn.workers import ray as ray_module
from seedcorn.workers.ray import ray_workers
from tests.study.scenarios import a_scenario_file
from tests.workers.cluster import ENVIRONMENT, Cluster, a_cluster

pytest.importorskip("ray", reason="Ray is an extra: pip install 'seedcorn[ray]'")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch, a_cluster() as running:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield running


def _twice(factor: int, item: int) -> int:
    return factor * item


def _quotient(dividend: float, divisor: float) -> float:
    return dividend / divisor


def _process(_: None, __: int) -> int:
    return os.getpid()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
class TestOnACluster:
    def test_a_node_with_other_code_is_refused(self, cluster, monkeypatch):
        monkeypatch.setattr(ray_module, "_NUMERIC", ("numba",))  # here, not on the nodes
        refused = pytest.raises(InputError, match=r"node 127\.0\.0\.\d .* results could differ")
        with refused, ray_workers(cluster.address):
            pass

    def test_results_keep_the_order_of_the_items_and_errors_their_type(self, cluster):
        with ray_workers(cluster.address) as workers:
            assert list(workers.map(_twice, 2, range(50))) == list(range(0, 100, 2))
            with pytest.raises(ZeroDivisionError):
                list(workers.map(_quotient, 1.0, [1.0, 0.0]))
            assert os.getpid() not in list(workers.map(_process, None, [0, 1]))

    def test_a_plan_is_the_same_bytes_though_a_node_dies_in_the_middle(self, cluster, tmp_path: Path):
        located = read_scenario(a_scenario_file(tmp_path))
        scenario = resolve(located)
        deaths: list[str] = []

        def kill_a_node_once(what: str, done: int, total: int) -> None:
            if done == 1 and not deaths:
                deaths.append(what)
                cluster.kill_last_node(signal.SIGKILL)

        with ray_workers(cluster.address) as workers:
            there = plan_scenario(scenario, kill_a_node_once, workers)
        here = plan_scenario(scenario, lambda *_: None)
        assert deaths
        assert plan_json(there, located, folder=tmp_path) == plan_json(here, located, folder=tmp_path)


@pytest.mark.parametrize(
    ("address", "why"),
    [("127.0.0.2:1", "no Ray cluster answers"), ("ray", "host:port"), ("ray://there:10001x", "host:port")],
)
def test_where_no_cluster_answers(address, why):
    with pytest.raises(InputError, match=why), ray_workers(address):
        pass
