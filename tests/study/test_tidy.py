"""Tidying against the market's own checker, over markets that hypothesis invents."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import Market, MarketOffer, MarketPool, MarketService, Status
from seedcorn.planner import solve, verify
from seedcorn.study.tidy import tidied

H20, L20 = PoolName("h20"), PoolName("l20")
offers = st.builds(
    lambda pool, chips, capacity: (pool, chips, capacity),
    st.sampled_from([H20, L20]),
    st.sampled_from([1, 2, 4]),
    st.floats(0.5, 20),
)


@st.composite
def markets(draw: st.DrawFn) -> Market:
    classes = draw(st.sampled_from([("all",), ("short", "long")]))
    services = [
        MarketService(
            name=f"s{i}",
            demand={name: draw(st.floats(5, 200)) for name in classes},
            offers=tuple(
                MarketOffer(name=f"{name} {j}", chips={pool: chips}, capacity={name: capacity})
                for name in classes
                for j, (pool, chips, capacity) in enumerate(draw(st.lists(offers, min_size=1, max_size=4)))
            ),
        )
        for i in range(draw(st.integers(1, 3)))
    ]
    chips = draw(st.sampled_from([60, 300, 1200]))  # often so few that a service has to mix pools
    pools = (MarketPool(name=H20, chips=chips, price=1.0), MarketPool(name=L20, chips=chips, price=0.3))
    return Market(pools=pools, services=tuple(services))


@settings(max_examples=40, deadline=None)
@given(market=markets(), gap=st.sampled_from([0.001, 0.02, 0.1]))
def test_tidying_keeps_every_rule_of_the_market_and_the_gap(market, gap):
    before = solve(market, gap=0.001, time_limit_s=5)
    assume(before.status is Status.OPTIMAL)

    after = tidied(market, before, gap=gap)

    assert verify(market, after) == ()
    assert after.gap <= max(gap, before.gap)
    assert after.bound == before.bound and after.objective <= before.objective + 1e-9
    assert len(after.deployments) <= len(before.deployments)


def test_one_odd_replica_is_given_up_when_the_gap_leaves_room():
    chat = MarketService(
        name="chat",
        demand={"all": 101.0},
        offers=(
            MarketOffer(name="big", chips={H20: 4}, capacity={"all": 10.0}),
            MarketOffer(name="small", chips={H20: 1}, capacity={"all": 2.0}),
        ),
    )
    market = Market(pools=(MarketPool(name=H20, chips=100, price=1.0),), services=(chat,))
    exact = solve(market, gap=0.0)
    assert {d.offer: d.replicas for d in exact.deployments} == {"big": 10, "small": 1}  # 41 chips

    assert {d.offer: d.replicas for d in tidied(market, exact, gap=0.1).deployments} == {"big": 11}
    assert len(tidied(market, exact, gap=0.001).deployments) == 2


def test_a_service_that_needs_both_pools_keeps_both():
    chat = MarketService(
        name="chat",
        demand={"all": 20.0},
        offers=(
            MarketOffer(name="big", chips={H20: 1}, capacity={"all": 1.0}),
            MarketOffer(name="small", chips={L20: 1}, capacity={"all": 1.0}),
        ),
    )
    pools = (MarketPool(name=H20, chips=10, price=1.0), MarketPool(name=L20, chips=10, price=0.3))
    market = Market(pools=pools, services=(chat,))
    assert len(tidied(market, solve(market), gap=0.5).deployments) == 2
