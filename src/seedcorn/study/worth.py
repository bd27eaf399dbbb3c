"""What one more node of a pool would free: the market of a plan, cleared with the node and without."""

from collections import Counter
from dataclasses import replace

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import Allocation, Market
from seedcorn.domain.plan import Plan
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import ALL_REQUESTS
from seedcorn.domain.worth import Change, NodeWorth
from seedcorn.errors import Infeasible, UnknownName
from seedcorn.planner import solve
from seedcorn.study.clearing import market_of
from seedcorn.study.gangs import gangs_of
from seedcorn.study.numeraire import Numeraire, numeraire
from seedcorn.study.offers import OfferBook, Progress

GAP = 1e-6
"""Both markets are cleared this close, so that their difference is the node's and not the search's."""


def node_worth(plan: Plan, scenario: Scenario, pool: PoolName, progress: Progress) -> NodeWorth:
    """One more node of ``pool``, valued at the plan's own offers, loads and today.

    Raises:
        UnknownName: No such pool.
        Infeasible: Time was too short to clear either market.
    """
    if pool not in [p.name for p in scenario.pools]:
        raise UnknownName("pool", pool, [p.name for p in scenario.pools])
    worth = numeraire(scenario)  # of both: a chip-hour must not change its value with the node
    market = market_of_plan(plan, scenario, worth)
    node = scenario.pool(pool).chips_per_node
    pools = (replace(p, chips=p.chips + node) if p.name == pool else p for p in scenario.pools)
    larger = market_of_plan(plan, replace(scenario, pools=tuple(pools)), worth)  # with gangs that fill it
    answers = []
    for done, each in enumerate((market, larger)):
        progress("clearing with and without the node", done, 2)
        answers.append(_cleared(each, scenario))
    progress("clearing with and without the node", 2, 2)
    without, with_node = answers
    assert without.objective is not None and without.bound is not None
    assert with_node.objective is not None and with_node.bound is not None
    reference = PoolName(plan.reference_pool)
    unused = node * next(p.price for p in market.pools if p.name == pool)
    return NodeWorth(
        pool=pool,
        chips=node,
        gain=with_node.objective - without.objective + unused,
        gain_least=with_node.objective - without.bound + unused,
        gain_most=with_node.bound - without.objective + unused,
        unused=unused,
        freed=(_chips_of_services(without, reference) - _chips_of_services(with_node, reference))
        / market.slots,
        changes=_changes(without, with_node),
    )


def market_of_plan(plan: Plan, scenario: Scenario, worth: Numeraire) -> Market:
    """The market that the plan cleared, rebuilt from what the plan holds."""
    offers = {s.service: tuple(a.offer for a in s.alternatives) for s in plan.services}
    is_split = {
        s.service: any(d.offer.request_class != ALL_REQUESTS for d in s.deployments) for s in plan.services
    }
    book = OfferBook(
        offers={
            name: tuple(o for o in found if o.request_class == ALL_REQUESTS) for name, found in offers.items()
        },
        refusals={},
        by_class={
            name: tuple(o for o in found if o.request_class != ALL_REQUESTS) if is_split[name] else ()
            for name, found in offers.items()
        },
    )
    gangs = gangs_of(scenario, worth)
    load_factors = {
        s.service: tuple(slot.load_factor for slot in s.slots) or (s.load_factor,) for s in plan.services
    }
    running = {s.service: s.running for s in plan.services}
    return market_of(scenario, book, worth, gangs, load_factors, running)


def _cleared(market: Market, scenario: Scenario) -> Allocation:
    planning = scenario.planning
    answer = solve(market, gap=GAP, time_limit_s=planning.time_limit_s, seed=planning.seed)
    if answer.objective is None:
        raise Infeasible("the plan's market does not clear any more within planning.time_limit: plan again")
    return answer


def _chips_of_services(answer: Allocation, pool: PoolName) -> int:
    return sum(d.chips.get(pool, 0) for d in answer.deployments)


def _changes(without: Allocation, with_node: Allocation) -> tuple[Change, ...]:
    before, after = _counts(without), _counts(with_node)
    return tuple(
        Change(claimant=claimant, what=what, without=before[claimant, what], with_node=after[claimant, what])
        for claimant, what in dict.fromkeys([*before, *after])
        if before[claimant, what] != after[claimant, what]
    )


def _counts(answer: Allocation) -> Counter[tuple[str, str]]:
    """(claimant, what) → how many, in the slot where they are most: replicas of a kind, chips of a gang in a pool."""
    counts: Counter[tuple[str, str]] = Counter()
    for deployment in answer.deployments:
        key = deployment.service, f"replicas of {deployment.offer}"
        counts[key] = max(counts[key], deployment.replicas)
    for award in answer.jobs:
        for pool, chips in award.chips.items():
            key = award.job, f"chips of {pool}"
            counts[key] = max(counts[key], chips)
    return counts
