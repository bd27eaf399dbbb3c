"""Waves for people: how to get from what runs today to the plan."""

from collections.abc import Iterable

from rich.table import Table

from seedcorn.domain.moves import Move, Running, Wave
from seedcorn.domain.plan import Plan, ServicePlan
from seedcorn.report.tables import Page, plain_table
from seedcorn.units import format_seconds, format_share


def waves_part(plan: Plan) -> Page:
    """One line, and a table of the waves; nothing where nothing moves."""
    if not plan.waves:
        return []
    table = plain_table(
        "wave",
        "starts",
        "stops",
        "until serving",
        "until empty",
        "lacking meanwhile",
        right=("wave", "until serving", "until empty"),
        title="Waves: how to get there from today",
    )
    for number, wave in enumerate(plan.waves, start=1):
        table.add_row(
            f"{number}",
            _by_service(wave.starts),
            _by_service(wave.stops),
            format_seconds(wave.start_s) if wave.starts else "-",
            format_seconds(wave.drain_s) if wave.stops else "-",
            ", ".join(f"{lack.service} {format_share(lack.share)}" for lack in wave.lacking) or "-",
        )
    return [table, moves_sentence(plan.waves)]


def moves_sentence(waves: tuple[Wave, ...]) -> str:
    """How much moves, in how long."""
    started = sum(move.replicas for wave in waves for move in wave.starts)
    stopped = sum(move.replicas for wave in waves for move in wave.stops)
    count = "1 wave" if len(waves) == 1 else f"{len(waves)} waves"
    seconds = sum(wave.seconds for wave in waves)
    return f"{started:,} replicas start and {stopped:,} stop, in {count} of {format_seconds(seconds)} in all."


def today_sentence(service: ServicePlan) -> str | None:
    """What serves the service today, and what of that was derived."""
    if not service.running:
        return None
    runs = ", ".join(f"{r.replicas:,} x {r.kind}" for r in service.running)
    return f"Today it runs {runs}{_derived(service.running)}."


def _derived(running: tuple[Running, ...]) -> str:
    left_out = running[0].derived
    return f" ({', '.join(left_out)} derived: the least that carries the planned rate)" if left_out else ""


def _by_service(moves: Iterable[Move]) -> str:
    return ", ".join(f"{move.service} {move.replicas:,} x {move.kind}" for move in moves) or "-"


def moves_of(service: str, waves: tuple[Wave, ...]) -> Table | None:
    """The waves in which one service moves."""
    table = plain_table("wave", "starts", "stops", right=("wave",), title=f"Waves in which {service} moves")
    for number, wave in enumerate(waves, start=1):
        starts = [move for move in wave.starts if move.service == service]
        stops = [move for move in wave.stops if move.service == service]
        if starts or stops:
            table.add_row(f"{number}", _kinds(starts), _kinds(stops))
    return table if table.row_count else None


def _kinds(moves: Iterable[Move]) -> str:
    return ", ".join(f"{move.replicas:,} x {move.kind}" for move in moves) or "-"
