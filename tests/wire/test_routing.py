"""How documents say where requests go, and which nodes are lost."""

import math

import pytest

from seedcorn.domain.fault import Outage
from seedcorn.domain.hardware import PoolName
from seedcorn.domain.workload import Router, Routing, SchedulingPolicy, Spill
from seedcorn.errors import InputError
from seedcorn.wire import read_faults
from tests.wire.documents import changed, read, refusal

TODAY = "    today: {pool: h800}\n"


def with_router(router):
    return (TODAY, f"{TODAY}    router: {router}\n")


def test_a_router_is_read_as_the_replay_takes_it(tmp_path):
    written = "{policy: power-of-two, max_waiting: 64, spill: {to: h800, waiting: 8}}"

    chat, code = read(tmp_path, with_router(written)).document.services

    assert chat.router.routing == Routing(
        router=Router.POWER_OF_TWO, max_waiting=64, spill=Spill(to=PoolName("h800"), waiting=8)
    )
    assert code.router.routing == Routing()


def test_the_scheduling_policy_is_an_engine_limit(tmp_path):
    change = (TODAY, f"{TODAY}    engine: {{scheduling_policy: priority}}\n")

    assert read(tmp_path, change).document.services[0].engine.settings.scheduling_policy is (
        SchedulingPolicy.PRIORITY
    )


@pytest.mark.parametrize(
    ("router", "message"),
    [
        ("{policy: random}", "services[0].router.policy"),
        ("{spill: {to: h900, waiting: 8}}", "services[0].router.spill.to: no pool 'h900' in the fleet"),
        ("{spill: {to: h800}}", "services[0].router.spill.waiting"),
        ("{max_waiting: 0}", "services[0].router.max_waiting"),
        (
            "{max_waiting: 4, spill: {to: h800, waiting: 8}}",
            "services[0].router.max_waiting: a queue of 4 refuses before it spills, at 8",
        ),
    ],
)
def test_a_router_that_cannot_be_is_refused_at_its_place(tmp_path, router, message):
    assert message in refusal(tmp_path, changed(with_router(router)))


def faults(tmp_path, *lines, header="pool,node,lost_s,back_s"):
    path = tmp_path / "faults.csv"
    path.write_text("\n".join([header, *lines]), encoding="utf-8")
    return read_faults(path, ["h20", "l20"])


def test_outages_are_read_in_order_and_without_a_return_are_for_good(tmp_path):
    assert faults(tmp_path, "h20,3,600,1200", "l20,0,0.5,") == (
        Outage(pool=PoolName("h20"), node=3, lost_s=600.0, back_s=1200.0),
        Outage(pool=PoolName("l20"), node=0, lost_s=0.5, back_s=math.inf),
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("h900,0,1,2", "no pool 'h900' in the fleet; there are h20, l20"),
        ("h20,-1,1,2", "node is '-1'"),
        ("h20,0,soon,2", "lost_s is 'soon'"),
        ("h20,0,1,inf", "back_s is 'inf'"),
        ("h20,0,5,5", "back at 5 s, which is not after lost_s, 5 s"),
        ("h20,0,1", "expected 4 cells"),
        ("h20,0,1,2,3", "expected 4 cells"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, message):
    with pytest.raises(InputError) as refused:
        faults(tmp_path, "h20,0,1,2", line)

    assert message in str(refused.value) and "faults.csv:3" in str(refused.value)


def test_other_columns_and_no_file_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected 'pool,node,lost_s,back_s'"):
        faults(tmp_path, header="pool,node,from,to")
    with pytest.raises(InputError, match="cannot read the faults"):
        read_faults(tmp_path / "none.csv", [])
