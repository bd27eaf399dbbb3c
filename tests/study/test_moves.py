"""Services stay on their chips unless moving pays: over random markets that were planned, then shaken by 5 %."""

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import (
    Allocation,
    JobOption,
    Market,
    MarketJob,
    MarketOffer,
    MarketPool,
    MarketService,
    Status,
)
from seedcorn.domain.scenario import Planning, Scenario
from seedcorn.planner import solve, verify
from seedcorn.study.clearing import cleared
from seedcorn.study.moves import staying

GAP = 0.001
SCENARIO = Scenario(name="shaken", pools=(), planning=Planning(gap=GAP, time_limit_s=5.0))
POOLS = {PoolName("h800"): (0.51, 300), PoolName("h20"): (0.12, 500), PoolName("l20"): (0.06, 400)}


def silent(what: str, done: int, total: int) -> None:
    """No progress."""


@st.composite
def services(draw: st.DrawFn, index: int) -> MarketService:
    """One offer a pool or two, some twins so alike that either is as good within the gap."""
    offers = []
    for pool, (price, _) in POOLS.items():
        chips = draw(st.sampled_from([1, 2, 4, 8]))
        worth = draw(st.sampled_from([0.995, 1.0, 1.005, 1.3, 2.0]))
        offers.append(
            MarketOffer(
                name=f"{pool}/tp{chips}", chips={pool: chips}, capacity={"all": chips * price * worth}
            )
        )
    return MarketService(name=f"s{index}", demand={"all": draw(st.floats(3, 30))}, offers=tuple(offers))


@st.composite
def markets(draw: st.DrawFn) -> Market:
    gang = tuple(JobOption(chips={PoolName("h800"): n}, progress=float(n)) for n in (64, 128, 192))
    return Market(
        pools=tuple(MarketPool(name=p, chips=chips, price=price) for p, (price, chips) in POOLS.items()),
        services=tuple(draw(services(i)) for i in range(draw(st.integers(2, 5)))),
        jobs=(MarketJob(name="next", options=gang),),
    )


def shaken(market: Market, planned: Allocation, factors: list[float], move_cost: float) -> Market:
    """``market`` tomorrow: the plan is what runs, the load is another."""
    running = {(d.service, d.offer): d.replicas for d in planned.deployments}
    return replace(
        market,
        services=tuple(
            replace(
                s,
                demand={"all": s.demand["all"] * factor},
                offers=tuple(
                    replace(o, today=running.get((s.name, o.name), 0), move_cost=move_cost) for o in s.offers
                ),
            )
            for s, factor in zip(market.services, factors, strict=True)
        ),
    )


def pools_of(allocation: Allocation, service: str) -> set[PoolName]:
    return {pool for d in allocation.deployments if d.service == service for pool in d.chips}


@settings(max_examples=25, deadline=None)
@given(
    market=markets(),
    factors=st.lists(st.floats(0.95, 1.05), min_size=5, max_size=5),
    move_cost=st.sampled_from([0.0005, 0.01]),
)
def test_five_percent_of_load_move_no_service_between_chips_unless_it_pays(market, factors, move_cost):
    planned = solve(market, gap=GAP, time_limit_s=5)
    assume(planned.status is Status.OPTIMAL)
    tomorrow = shaken(market, planned, factors[: len(market.services)], move_cost)
    assume(solve(tomorrow, gap=GAP, time_limit_s=5).objective is not None)

    after = cleared(tomorrow, SCENARIO, silent)

    assert verify(tomorrow, after) == ()
    left = {s.name for s in market.services if not pools_of(after, s.name) <= pools_of(planned, s.name)}
    stayed = {s.name for s in market.services} - left
    for name in left:
        forced = solve(staying(tomorrow, stayed | {name}), gap=0.0, time_limit_s=5)
        assert after.bound is not None
        worth = -float("inf") if forced.objective is None else forced.objective
        assert after.bound - worth > GAP * max(abs(after.bound), abs(worth))  # it would leave the gap
