"""What a fleet can sell by the hour without touching an SLO or a training job."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import ResaleKind
from seedcorn.domain.plan import Deployment, PoolPlan, ServicePlan
from seedcorn.domain.sale import HOURS, Ask, PoolHour, PoolSale, Product, ProductSale, Quote, Sale
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import Service
from seedcorn.study.forecast import Forecast, day_forecast
from seedcorn.study.offers import Progress
from seedcorn.study.planning import proven_plan
from seedcorn.study.proof import TIGHTEN, replay_service
from seedcorn.study.robustness import trials
from seedcorn.workers import HERE, Workers

_NO_CHIPS = np.zeros(len(HOURS), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breath:
    """How one service's replicas follow its demand.

    Attributes:
        low: Factor on what fewer replicas are planned for: a few even out less than many.
    """

    deployments: tuple[Deployment, ...]
    forecast: Forecast
    low: float = 1.0

    def at(self, demand: float) -> tuple[Deployment, ...]:
        """The replicas for ``demand``, a part of the busiest hour's: each carries no more than it does then."""
        part = min(demand / float(self.forecast.high.max()) * self.low, 1.0)
        return tuple(replace(d, replicas=math.ceil(d.replicas * part - 1e-9)) for d in self.deployments)

    def chips(self, pool: PoolName, demand: NDArray[np.float64]) -> NDArray[np.int64]:
        """(24,) chips of ``pool`` for ``demand`` (24,)."""
        return np.array([sum(d.chips_of(pool) for d in self.at(x)) for x in demand.tolist()])


def sale_of(scenario: Scenario, progress: Progress, workers: Workers = HERE) -> Sale:
    """What each pool can sell in each hour of the day, and at what floor price.

    The plan is made for the busiest hour of a high (P90) day and proved there by replay. In other hours
    each kind of replica is as many as keep the load of one no higher, and the service's emptiest hour is
    replayed too. Training jobs hold their gangs all day.

    Raises:
        Infeasible: The fleet cannot carry the busiest hour; as ``plan_scenario``.
    """
    forecasts = {service.name: day_forecast(service) for service in scenario.services}
    busiest = _at(scenario, {name: float(f.high.max()) for name, f in forecasts.items()}, forecasts)
    plan = proven_plan(busiest, progress, workers)
    breaths: dict[str, Breath] = {}
    for done, service in enumerate(plan.services):
        progress("replaying the emptiest hour", done, len(plan.services))
        breaths[service.service] = _proved(service, scenario, forecasts)
    progress("replaying the emptiest hour", len(plan.services), len(plan.services))
    return Sale(
        name=scenario.name,
        reference_pool=plan.reference_pool,
        reference_price=scenario.planning.reference_price,
        pools=tuple(pool_sale(pool, breaths, scenario) for pool in plan.pools),
        slos_held=plan.slos_held is True,
        forecasts={name: forecast.basis for name, forecast in forecasts.items()},
        warnings=plan.warnings,
    )


def quote(sale: Sale, *, pool: str, chips: int, hours: Sequence[int], days: float = 1.0) -> Quote:
    """Whether ``chips`` of ``pool`` can be sold in ``hours`` of the day, why not, and the nearest that can.

    Args:
        hours: Hours of the day in order, at least one.
        days: So many days the hours are sold on, for the price.
    """
    asked, hours = sale.pool(pool), tuple(hours)
    free = asked.firm(hours)
    whole_day = len(hours) == len(HOURS)
    floor = asked.reserved_floor if whole_day else asked.spot_floor
    chip_hours = chips * len(hours) * days
    others = [p for p in sale.pools if p.pool != asked.pool and p.firm(hours) >= chips]
    others.sort(key=lambda p: (abs(p.spot_floor - asked.spot_floor), p.pool))
    return Quote(
        ask=Ask(pool=asked.pool, chips=chips, hours=hours, chip_hours=chip_hours),
        is_yes=free >= chips,
        free=free,
        floor=chip_hours * floor,
        tightest=min((asked.hours[hour] for hour in hours), key=lambda hour: hour.firm),
        likely=asked.likely(hours) >= chips,
        fewer=free,
        other_hours=_nearest_hours(asked, chips, hours),
        other_pools=tuple(p.pool for p in others),
    )


def _nearest_hours(pool: PoolSale, chips: int, hours: tuple[int, ...]) -> tuple[int, ...] | None:
    """As many hours in a row in which ``pool`` has ``chips``, moved by as few hours as may be."""
    for moved in sorted(range(1 - len(HOURS) // 2, len(HOURS) // 2 + 1), key=abs):
        shifted = tuple((hour + moved) % len(HOURS) for hour in hours)
        if pool.firm(shifted) >= chips:
            return shifted
    return None


def _at(scenario: Scenario, demand: Mapping[str, float], forecasts: Mapping[str, Forecast]) -> Scenario:
    """The scenario in one hour, at ``demand`` times each service's mean rate.

    Where services run today plays no part, and nothing is sold yet. A trace that runs through the day stays at its mean: replaying
    it meets the busiest hour.
    """
    services = tuple(
        replace(service, today=None)
        if forecasts[service.name].is_in_trace
        else replace(service, rate_per_s=service.rate_per_s * demand[service.name], day=None, today=None)
        for service in scenario.services
    )
    one_hour = replace(scenario.planning, slots=1)
    return replace(scenario, services=services, planning=one_hour, products=())


def _proved(service: ServicePlan, scenario: Scenario, forecasts: Mapping[str, Forecast]) -> Breath:
    """Replicas that follow demand and hold the SLO in the emptiest hour, in replay; else all of them all day."""
    forecast = forecasts[service.service]
    breath = Breath(deployments=service.deployments, forecast=forecast)
    emptiest = float(forecast.middle.min())
    if forecast.is_in_trace or emptiest == float(forecast.high.max()):
        return breath  # the plan's own replay was of every hour
    hour = _at(scenario, {s.name: max(emptiest, 1e-3) for s in scenario.services}, forecasts)
    while breath.at(emptiest) != service.deployments:
        if _holds(hour.service(service.service), breath.at(emptiest), hour):
            break
        breath = replace(breath, low=breath.low * TIGHTEN)
    return breath


def _holds(service: Service, deployments: tuple[Deployment, ...], scenario: Scenario) -> bool:
    """Whether the SLO holds in replay, and in everything else that a plan must withstand."""
    if not replay_service(service, deployments, scenario).meets(service.slo):
        return False
    is_tried = scenario.planning.spare or scenario.planning.cases
    return not is_tried or all(trial.slos_held for trial in trials(service, deployments, scenario, 0))


def pool_sale(pool: PoolPlan, breaths: Mapping[str, Breath], scenario: Scenario) -> PoolSale:
    """Who has the pool's chips hour by hour; what nobody needs is sold as far as products take it."""
    high = sum((b.chips(pool.pool, b.forecast.high) for b in breaths.values()), start=_NO_CHIPS)
    middle = sum((b.chips(pool.pool, b.forecast.middle) for b in breaths.values()), start=_NO_CHIPS)
    usable = pool.chips - pool.spare - pool.used_by_jobs
    floors = {ResaleKind.RESERVED: pool.price + pool.shadow_price, ResaleKind.SPOT: pool.price}
    products = [product for product in scenario.products if product.pool == pool.pool]
    paying = [p for p in products if _pays(p, floors[p.kind], scenario)]
    free = usable - high
    reserved = min(int(free.min()), _taken(paying, ResaleKind.RESERVED) if products else usable)
    most_spot = _taken(paying, ResaleKind.SPOT) if products else usable
    spot, spot_p50 = (np.minimum(chips - reserved, most_spot) for chips in (free, usable - middle))
    hours = tuple(
        PoolHour(
            hour=hour,
            spare=pool.spare,
            services=int(high[hour]),
            training=pool.used_by_jobs,
            reserved=reserved,
            spot=int(spot[hour]),
            idle=int(free[hour] - reserved - spot[hour]),
            spot_p50=int(spot_p50[hour]),
        )
        for hour in HOURS
    )
    return PoolSale(
        pool=pool.pool,
        chip=pool.chip,
        owned=pool.chips,
        hours=hours,
        reserved_floor=floors[ResaleKind.RESERVED],
        spot_floor=floors[ResaleKind.SPOT],
        products=_product_sales(
            products, paying, {ResaleKind.RESERVED: [reserved] * len(HOURS), ResaleKind.SPOT: spot.tolist()}
        ),
    )


def _pays(product: Product, floor: float, scenario: Scenario) -> bool:
    """Whether the price reaches the floor; yes where the two cannot be compared."""
    worth = scenario.planning.reference_price
    if worth is None or worth[1] != product.price[1]:
        return True
    return product.price[0] >= floor * worth[0]


def _taken(products: Sequence[Product], kind: ResaleKind) -> int:
    return sum(product.max_chips for product in products if product.kind is kind)


def _product_sales(
    products: Sequence[Product], paying: Sequence[Product], chips: Mapping[ResaleKind, list[int]]
) -> tuple[ProductSale, ...]:
    """The chips of each hour given to the products of their kind, the dearest first."""
    left = {kind: list(hours) for kind, hours in chips.items()}
    sold: dict[str, int] = {}
    for product in sorted(paying, key=lambda product: (-product.price[0], product.name)):
        given = [min(product.max_chips, chips) for chips in left[product.kind]]
        left[product.kind] = [chips - n for chips, n in zip(left[product.kind], given, strict=True)]
        sold[product.name] = sum(given)
    return tuple(
        ProductSale(product=product, chip_hours=sold.get(product.name, 0), pays=product in paying)
        for product in products
    )
