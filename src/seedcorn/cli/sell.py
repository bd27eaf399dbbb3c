"""``seedcorn sell``: what can be sold as cloud without touching an SLO or a training job, and the answer to a buyer."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from seedcorn.cli.evidence import Store, kept_measurements
from seedcorn.cli.output import note_compilation, print_json, print_page, progress_shown, warn
from seedcorn.cli.workers import Ray, workers_at
from seedcorn.domain.market import ResaleKind
from seedcorn.domain.sale import HOURS, PoolSale, Quote, Sale
from seedcorn.errors import InputError, UnknownName

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ScenarioFile = Annotated[
    Path, typer.Argument(help="A scenario.yaml, or the name of a bundled one: after-the-october-rule.")
]


class _ShowUnlessNamed(TyperGroup):
    """``sell SCENARIO`` is ``sell show SCENARIO``."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # its click is private
        if args and args[0] not in (*self.commands, "--help"):
            args = ["show", *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    sell = typer.Typer(
        name="sell",
        cls=_ShowUnlessNamed,
        help="What can be sold by the hour without touching an SLO or a training job. "
        "'sell SCENARIO' is short for 'sell show SCENARIO'.",
        no_args_is_help=True,
    )
    sell.command("show")(show)
    sell.command("quote")(quote)
    app.add_typer(sell)


def show(scenario: ScenarioFile, store: Store = None, ray: Ray = None, as_json: AsJson = False) -> None:
    """Show what each pool can sell, reserved and as spot, by hour of the day, and from which price on.

    Exits 1 if the fleet cannot carry the busiest hour of a high day within every SLO.
    """
    from seedcorn.report.sale import sale_page

    found = _sale(scenario, store, ray)
    if as_json:
        print_json(sale_json(found))
    else:
        print_page(sale_page(found))
    for warning in found.warnings:
        warn(warning)
    if not found.slos_held:
        raise typer.Exit(1)


def quote(
    scenario: ScenarioFile,
    chips: Annotated[int, typer.Option(min=1, help="Chips asked for.")],
    pool: Annotated[str, typer.Option(help="A pool of the scenario.")],
    from_: Annotated[
        str, typer.Option("--from", help="22:00 (every day), or a date or time such as 2026-12-01T22:00.")
    ],
    to: Annotated[str, typer.Option("--to", help="As --from; 06:00 is of the next day if it comes before.")],
    store: Store = None,
    ray: Ray = None,
    as_json: AsJson = False,
) -> None:
    """Answer a buyer: yes and the least price, or no (exit 1), why, and the nearest that is a yes."""
    from seedcorn.report.sale import quote_page
    from seedcorn.study import quote as quoted

    when = _when(from_, to)
    found = _sale(scenario, store, ray, pool)
    answer = quoted(found, pool=pool, chips=chips, hours=when.hours, days=when.days)
    if as_json:
        print_json(quote_json(answer, found, from_, to))
    else:
        print_page(quote_page(answer, found, when.text))
    for warning in found.warnings:
        warn(warning)
    if not (answer.is_yes and found.slos_held):
        raise typer.Exit(1)


def _sale(path: Path, store: Path | None, ray: str | None, pool: str | None = None) -> Sale:
    """What the scenario can sell; a pool that it does not have is told before any work."""
    from seedcorn.study import resolve, sale_of
    from seedcorn.wire import read_scenario

    scenario = resolve(read_scenario(path), kept_measurements(store))
    if pool not in (None, *(known.name for known in scenario.pools)):
        raise UnknownName("pool", str(pool), [known.name for known in scenario.pools])
    note_compilation()
    with workers_at(ray) as workers, progress_shown() as progress:
        return sale_of(scenario, progress, workers)


@dataclass(frozen=True, slots=True)
class _When:
    """Hours of the day, on how many days, and both in words."""

    hours: tuple[int, ...]
    days: float
    text: str


def _when(start: str, end: str) -> _When:
    if (":" in start and len(start) <= 5) != (":" in end and len(end) <= 5):
        raise InputError(f"--from {start} --to {end}: give two times of day, or two dates")
    if len(start) <= 5:
        return _every_day(_hour(start, "--from"), _hour(end, "--to"), f"from {start} to {end} every day")
    first, last = _moment(start, "--from"), _moment(end, "--to")
    if last <= first:
        raise InputError(f"--to {end} is not after --from {start}")
    text = f"from {start} to {end}"
    lasts = last - first
    if lasts >= timedelta(days=1):
        return _When(tuple(HOURS), lasts / timedelta(days=1), text)
    begins = first.replace(minute=0, second=0, microsecond=0)
    count = -((begins - last) // timedelta(hours=1))
    return _When(tuple((begins.hour + i) % 24 for i in range(min(count, 24))), 1.0, text)


def _every_day(first: float, last: float, text: str) -> _When:
    if first % 24 == last % 24 and {first, last} != {0.0, 24.0}:
        raise InputError(f"{text} is no time at all; all day is from 00:00 to 24:00")
    last += 24 if last <= first else 0
    return _When(tuple(hour % 24 for hour in range(int(first), -int(-last // 1)))[:24], 1.0, text)


def _hour(text: str, option: str) -> float:
    """``22:30`` is 22.5."""
    hours, _, minutes = text.partition(":")
    if hours.isdecimal() and minutes.isdecimal() and len(minutes) == 2:
        hour = int(hours) + int(minutes) / 60
        if hour <= 24 and int(minutes) < 60:
            return hour
    raise InputError(f"{option}: expected a time such as 22:00 or a date such as 2026-12-01, got {text!r}")


def _moment(text: str, option: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise InputError(
            f"{option}: expected a time such as 22:00, or a date or time such as 2026-12-01T22:00, got {text!r}"
        ) from None


def sale_json(sale: Sale) -> dict[str, object]:
    """The sale as a document."""
    return {
        "seedcorn": 1,
        "kind": "sale",
        "name": sale.name,
        "slos_held": sale.slos_held,
        "forecasts": dict(sale.forecasts),
        "pools": [_pool_json(pool, sale) for pool in sale.pools],
        "warnings": list(sale.warnings),
    } | _unit_json(sale)


def _pool_json(pool: PoolSale, sale: Sale) -> dict[str, object]:
    return {
        "pool": pool.pool,
        "chip": pool.chip,
        "owned": pool.owned,
        "reserved_chips": pool.reserved,
        "spot_chip_hours_a_day": pool.spot_chip_hours,
        "reserved_floor": _floor_json(pool.reserved_floor, sale),
        "spot_floor": _floor_json(pool.spot_floor, sale),
        "hours": [asdict(hour) for hour in pool.hours],
        "products": [
            {
                "name": sold.product.name,
                "kind": sold.product.kind.value,
                "pays": sold.pays,
                "chip_hours_a_day": sold.chip_hours,
                "notice_s": sold.product.notice_s if sold.product.kind is ResaleKind.SPOT else None,
                "income_a_day": {"amount": sold.income, "currency": sold.product.price[1]},
            }
            for sold in pool.products
        ],
    }


def quote_json(answer: Quote, sale: Sale, start: str, end: str) -> dict[str, object]:
    """The answer to a buyer as a document."""
    ask = answer.ask
    return {
        "seedcorn": 1,
        "kind": "quote",
        "yes": answer.is_yes,
        "pool": ask.pool,
        "chips": ask.chips,
        "from": start,
        "to": end,
        "hours": list(ask.hours),
        "chip_hours": ask.chip_hours,
        "floor": _floor_json(answer.floor, sale),
        "free_chips": answer.free,
        "tightest": asdict(answer.tightest),
        "nearest": {
            "chips": answer.fewer,
            "as_spot": answer.likely,
            "hours": None if answer.other_hours is None else list(answer.other_hours),
            "pools": list(answer.other_pools),
        },
    } | _unit_json(sale)


def _unit_json(sale: Sale) -> dict[str, object]:
    price = sale.reference_price
    return {
        "reference_pool": sale.reference_pool,
        "reference_price": None if price is None else {"amount": price[0], "currency": price[1]},
    }


def _floor_json(reference_hours: float, sale: Sale) -> dict[str, object]:
    """A worth in reference-chip hours, and in money where that is known."""
    price = sale.reference_price
    money = None if price is None else {"amount": reference_hours * price[0], "currency": price[1]}
    return {"reference_chip_hours": reference_hours, "money": money}
