"""What a fleet can sell, and the answer to a buyer, for people."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.markup import escape
from rich.table import Table

from seedcorn.domain.market import ResaleKind
from seedcorn.domain.sale import HOURS, PoolHour, PoolSale, Quote, Sale
from seedcorn.report.tables import Page, plain_table
from seedcorn.units import format_seconds


def sale_page(sale: Sale) -> Page:
    """What can be sold of each pool, when, from which price on, and what demand is taken to be."""
    page: list[Table | str] = [f"{sale_headline(sale)}.", "", _pools(sale)]
    if any(pool.spot_chip_hours for pool in sale.pools):
        page += ["", _by_hour(sale)]
    return [*page, *_products(sale), "", *_basis(sale)]


def sale_summary(sale: Sale) -> Page:
    """The same without hours, in one screen."""
    return [
        f"{sale_headline(sale)}.",
        "",
        _pools(sale),
        *_products(sale),
        "",
        f"Prices are in {_unit(sale)}.",
    ]


def sale_headline(sale: Sale) -> str:
    """The answer in one sentence."""
    reserved = sum(pool.reserved for pool in sale.pools)
    spot = sum(pool.spot_chip_hours for pool in sale.pools)
    slos = "every SLO held in replay" if sale.slos_held else "NOT every SLO held in replay"
    return f"{reserved:,} chips can be sold reserved and {spot:,} chip-hours a day as spot, {slos}, no training job touched"


def quote_page(quote: Quote, sale: Sale, when: str) -> Page:
    """Yes and the least price, or no, why, and the nearest that is a yes."""
    ask = quote.ask
    asked = f"{ask.chips:,} chips of {escape(ask.pool)} {when}"
    if quote.is_yes:
        return [
            f"[bold]Yes[/]: {asked}: {ask.chip_hours:,.0f} chip-hours, for at least {worth(quote.floor, sale)}.",
            f"{quote.free:,} chips are free in the tightest of these hours, {_clock(quote.tightest.hour)}.",
        ]
    page = [f"[bold]No[/]: {asked}.", _why_not(quote, sale), "", "The nearest yes:"]
    return page + [f"- {way}" for way in _ways(quote)]


def worth(reference_hours: float, sale: Sale) -> str:
    """A value in the user's currency, or in reference-chip hours where no price was given."""
    if sale.reference_price is None:
        return f"{reference_hours:,.3g} {sale.reference_pool} chip-hours"
    amount, currency = sale.reference_price
    return f"{reference_hours * amount:,.2f} {currency}"


def hours_text(hours: Sequence[int]) -> str:
    """``from 22:00 to 06:00``."""
    if len(hours) == len(HOURS):
        return "all day"
    return f"from {hours[0]:02}:00 to {(hours[-1] + 1) % 24:02}:00"


def _pools(sale: Sale) -> Table:
    numbers = ("owned", "spare", "training", "services", "reserved", "spot", "spot, P50")
    table = plain_table(
        "pool",
        *numbers,
        "reserved from",
        "spot from",
        right=(*numbers, "reserved from", "spot from"),
        title="Chips (spot: chip-hours a day; from: least price of a chip-hour)",
    )
    for pool in sale.pools:
        services = [hour.services for hour in pool.hours]
        first = pool.hours[0]
        p50 = sum(hour.spot_p50 for hour in pool.hours)
        table.add_row(
            pool.pool,
            f"{pool.owned:,}",
            f"{first.spare:,}",
            f"{first.training:,}",
            f"{min(services):,}" + ("" if min(services) == max(services) else f" to {max(services):,}"),
            f"{pool.reserved:,}",
            f"{pool.spot_chip_hours:,}",
            f"{p50:,}",
            _price(pool.reserved_floor, sale),
            _price(pool.spot_floor, sale),
        )
    return table


def _by_hour(sale: Sale) -> Table:
    """Spot chips, hours that are alike in one row."""
    pools = [pool for pool in sale.pools if pool.spot_chip_hours]
    names = [pool.pool for pool in pools]
    table = plain_table("hours", *names, right=names, title="Spot chips by hour")
    for hours, chips in _alike(pools):
        table.add_row(f"{hours[0]:02}:00 to {hours[-1] + 1:02}:00", *(f"{n:,} ({p50:,})" for n, p50 in chips))
    return table


def _alike(pools: Sequence[PoolSale]) -> Iterator[tuple[list[int], tuple[tuple[int, int], ...]]]:
    def chips(hour: int) -> tuple[tuple[int, int], ...]:
        return tuple((pool.hours[hour].spot, pool.hours[hour].spot_p50) for pool in pools)

    for found, hours in groupby(HOURS, key=chips):
        yield list(hours), found


def _products(sale: Sale) -> list[Table | str]:
    """The scenario's products, if it has any."""
    if not any(pool.products for pool in sale.pools):
        return []
    numbers = ("notice", "takes", "price", "chip-hours a day", "income a day")
    table = plain_table("product", "pool", "kind", *numbers, "", right=numbers, title="Products")
    for pool in sale.pools:
        for sold in pool.products:
            product = sold.product
            amount, currency = product.price
            table.add_row(
                product.name,
                product.pool,
                product.kind,
                format_seconds(product.notice_s) if product.kind is ResaleKind.SPOT else "-",
                f"{product.max_chips:,}",
                f"{amount:,.2f} {currency}",
                f"{sold.chip_hours:,}",
                f"{sold.income:,.0f} {currency}",
                "" if sold.pays else "below the floor: the chips are worth more unsold",
            )
    return ["", table]


def _basis(sale: Sale) -> list[str]:
    """What the answer rests on."""
    by_basis: dict[str, list[str]] = {}
    for service, basis in sale.forecasts.items():
        by_basis.setdefault(basis, []).append(service)
    lines = [f"- {escape(', '.join(names))}: {basis}" for basis, names in by_basis.items()]
    return [
        f"Prices are in {_unit(sale)}.",
        "Demand, with planning.load_margin on top; P90: nine days in ten are below it, all services at once:",
        *lines,
        "Reserved and spot chips are free on a P90 day; those in brackets on the middle (P50) day: on half of the days "
        "some of them are called back. In every hour: owned = spare + training + services + reserved + spot + idle.",
    ]


def _why_not(quote: Quote, sale: Sale) -> str:
    hour, owned = quote.tightest, sale.pool(quote.ask.pool).owned
    return f"{_clock(hour.hour)} binds: {_use(hour, owned)}; {quote.free:,} are left."


def _use(hour: PoolHour, owned: int) -> str:
    return (
        f"of {owned:,} chips, services need {hour.services:,} (P90), training jobs hold {hour.training:,}, "
        f"{hour.spare:,} are spare"
    )


def _ways(quote: Quote) -> Iterator[str]:
    ask = quote.ask
    if quote.fewer:
        yield f"{quote.fewer:,} chips of {ask.pool} in those hours"
    if quote.likely:
        yield f"{ask.chips:,} chips of {ask.pool} in those hours as spot: they are free on the middle day (P50)"
    if quote.other_hours is not None:
        yield f"{ask.chips:,} chips of {ask.pool} {hours_text(quote.other_hours)}"
    if quote.other_pools:
        yield f"{ask.chips:,} chips of {' or '.join(quote.other_pools)} in those hours"
    if not (quote.fewer or quote.likely or quote.other_hours or quote.other_pools):
        yield "none: no pool has a chip to sell in those hours"


def _clock(hour: int) -> str:
    return f"{hour:02}:00 to {hour + 1:02}:00"


def _unit(sale: Sale) -> str:
    if sale.reference_price is None:
        return f"{sale.reference_pool} chip-hours (no planning.reference_price given)"
    amount, currency = sale.reference_price
    return f"{currency}, an hour of {sale.reference_pool} being worth {amount:g}"


def _price(reference_hours: float, sale: Sale) -> str:
    if sale.reference_price is None:
        return f"{reference_hours:.3f}"
    return f"{reference_hours * sale.reference_price[0]:,.2f}"
