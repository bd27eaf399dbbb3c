"""A runway for people: how many generations, until when, of what too little, and what would change that."""

from collections.abc import Iterator, Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from seedcorn.domain.runway import (
    GenerationRun,
    Lacking,
    LeverEffect,
    MonthUse,
    Runway,
    RunwayCase,
    Shortfall,
    SupplyEffect,
)
from seedcorn.report.tables import Page, plain_table
from seedcorn.units import format_share


def runway_headline(runway: Runway) -> str:
    """The answer a reader wants first, in one sentence."""
    text = (
        f"The stock trains {_count(runway.moved)} of {len(runway.moved.runs)} generations by {_end(runway)}"
    )
    if runway.stayed is None:
        return text
    gained = runway.moved.generations - runway.stayed.generations
    return f"{text}; {_count(runway.stayed)} if inference stays where it runs today: the move is worth {gained:.2f}"


def runway_page(runway: Runway) -> Page:
    """Headline and tables."""
    page: list[Table | str] = [
        f"{runway_headline(runway)}.",
        *(f"{text}." for text in _shortfalls(runway)),
        "",
        _runs(runway.moved.runs),
        "",
        _odds(runway),
        "",
        _uses(runway.moved.uses),
    ]
    if runway.supplies:
        page += ["", _supplies(runway.supplies), *_reasons(runway.supplies)]
    if runway.levers:
        page += ["", _levers(runway.levers)]
    if runway.defaults:
        page += ["", defaults_text(runway.defaults)]
    if runway.disclaimer:
        page += ["", runway.disclaimer]
    return page


def runway_summary(runway: Runway) -> Page:
    """The same in one screen: the answer, generations, and what would change it."""
    page: list[Table | str] = [
        f"{runway_headline(runway)}.",
        *(f"{text}." for text in _shortfalls(runway)),
        "",
        _runs(runway.moved.runs),
        "",
        _odds(runway),
    ]
    return [*page, "", _levers(runway.levers)] if runway.levers else page


def defaults_text(defaults: Mapping[str, str]) -> str:
    """What stood in for keys that were left out."""
    return escape("Defaults used: " + "; ".join(f"{key} = {value}" for key, value in defaults.items()))


def _count(case: RunwayCase) -> str:
    return f"{case.generations:.2f}"


def _end(runway: Runway) -> str:
    """The month after the last one looked at."""
    month = runway.start.month - 1 + runway.months
    return f"{runway.start.year + month // 12}-{month % 12 + 1:02d}"


def _shortfalls(runway: Runway) -> Iterator[str]:
    yield f"With the move: {shortfall_text(runway.moved.shortfall)}"
    if runway.stayed is not None:
        yield f"Without it: {shortfall_text(runway.stayed.shortfall)}"


def shortfall_text(short: Shortfall | None) -> str:
    """What is lacking first, when and how much of it."""
    if short is None:
        return "nothing falls short"
    if short.lacking is Lacking.SERVING:
        return (
            f"serving falls short first, in month {short.month + 1} ({short.on}): {short.claimant} lacks "
            f"{short.missing:,.3g} requests/s; {short.chips:,} more {short.pool} chips would carry what lacks chips there"
        )
    more = f"; {short.chips:,} more {short.pool} chips all along would do it" if short.chips else ""
    return (
        f"training falls short first, in month {short.month + 1} ({short.on}): {short.claimant} is due and lacks "
        f"{short.missing:.3g} FLOP{more}"
    )


def _runs(runs: Sequence[GenerationRun]) -> Table:
    columns = ("generation", "FLOP", "starts", "finishes", "due", "pool", "chips", "done when due")
    table = plain_table(
        *columns, right=("FLOP", "chips", "done when due"), title="Generations, with the move"
    )
    for run in runs:
        table.add_row(
            run.name,
            f"{run.flop:.3g}",
            "-" if run.starts is None else str(run.starts),
            "-" if run.finishes is None else str(run.finishes) + ("" if run.is_in_time else " late"),
            "-" if run.due is None else str(run.due),
            run.pool or "-",
            f"{run.chips:,}",
            format_share(run.done_share),
        )
    return table


def _odds(runway: Runway) -> Table:
    columns = ("generations", "as planned", "P10", "P50", "P90", "serving falls short")
    drawn = f"{runway.draws:,} futures drawn, seed {runway.seed}" if runway.draws else "no futures drawn"
    table = plain_table(*columns, right=columns[1:], title=f"How sure: {drawn}")
    for name, case in (("with the move", runway.moved), ("without it", runway.stayed)):
        if case is None:
            continue
        quantiles = case.quantiles
        drawn_cells = (
            ["-", "-", "-", "-"]
            if quantiles is None or case.short_share is None
            else [
                *(f"{value:.2f}" for value in (quantiles.p10, quantiles.p50, quantiles.p90)),
                f"in {format_share(case.short_share)}",
            ]
        )
        table.add_row(name, _count(case), *drawn_cells)
    return table


def _uses(uses: Sequence[MonthUse]) -> Table:
    """A row for each pool: its chips and those that serve, at the start, once a year, and in the last month."""
    months = list(dict.fromkeys(use.month for use in uses))
    shown = [month for i, month in enumerate(months) if i % 12 == 0 or i == len(months) - 1]
    names = [f"{month.year}-{month.month:02d}" for month in shown]
    table = plain_table("pool", *names, right=names, title="Chips that serve, of those there are")
    found = {(use.pool, use.month): use for use in uses}
    for pool in dict.fromkeys(use.pool for use in uses):
        row = [found[pool, month] for month in shown]
        table.add_row(pool, *(f"{use.serving:,} of {use.chips:,}" for use in row))
    return table


def _supplies(supplies: Sequence[SupplyEffect]) -> Table:
    columns = (
        "supply",
        "pool",
        "from",
        "offered",
        "counted on",
        "export rules",
        "generations lost without it",
    )
    table = plain_table(
        *columns, right=("offered", "counted on", "generations lost without it"), title="Supply"
    )
    for supply in supplies:
        lost = "not counted on" if supply.lost is None else f"{supply.lost:.2f}"
        table.add_row(
            supply.name,
            supply.pool,
            str(supply.first),
            f"{supply.offered:,}",
            f"{supply.chips:,}",
            supply.standing,
            lost,
        )
    return table


def _reasons(supplies: Sequence[SupplyEffect]) -> Iterator[str]:
    for supply in supplies:
        yield from (escape(f"  {supply.name}: {why}") for why in supply.why)


def _levers(levers: Sequence[LeverEffect]) -> Table:
    table = plain_table(
        "lever", "generations", "gained", right=("generations", "gained"), title="Levers, each alone"
    )
    for lever in levers:
        table.add_row(lever.name, f"{lever.generations:.2f}", f"{lever.gained:+.2f}")
    return table
