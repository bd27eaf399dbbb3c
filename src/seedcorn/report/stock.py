"""The ledger of chips as tables."""

from collections.abc import Mapping, Sequence
from datetime import date

from rich.markup import escape
from rich.table import Table

from seedcorn.report.tables import Page, plain_table
from seedcorn.stock import OWNED, By, Difference, Draft, Event, Place, State

EVENT_COLUMNS = ("date", "key", "event", "chips", "chip", "from", "to", "serials", "price", "document")
"""Of a history; those without any content are left out."""

SERIALS_SHOWN = 2
"""Of each event; JSON and exports have all."""

STATES = (State.ON_ORDER, *OWNED)


def stock_page(sums: Mapping[tuple[str, ...], Mapping[State, int]], by: Sequence[By], on: date) -> Page:
    """The stock of a date, a row for each combination of ``by``."""
    return [
        f"[bold]Stock on {on}[/]",
        _of_each_state(sums, by) if By.STATE in by else _states_beside(sums, by),
    ]


def _of_each_state(sums: Mapping[tuple[str, ...], Mapping[State, int]], by: Sequence[By]) -> Table:
    table = plain_table(*by, "chips", right=["chips"])
    for group, chips in sums.items():
        table.add_row(*(_text(word).replace("_", " ") for word in group), f"{sum(chips.values()):,}")
    return table


def _states_beside(sums: Mapping[tuple[str, ...], Mapping[State, int]], by: Sequence[By]) -> Table:
    """Chips that are sold or retired are in no column, and rows of nothing else are left out."""
    states = [state.replace("_", " ") for state in STATES]
    table = plain_table(*by, *states, "owned", right=[*states, "owned"])
    for group, chips in sums.items():
        counts = [chips.get(state, 0) for state in STATES]
        owned = sum(chips.get(state, 0) for state in OWNED)
        if any(counts):
            table.add_row(
                *map(_text, group), *(f"{count:,}" if count else "-" for count in counts), f"{owned:,}"
            )
    return table


def history_page(events: Sequence[Event], title: str) -> Page:
    """Events, one a row, in the order of their dates; a correction says what it takes back."""
    rows = [_event_row(event) for event in sorted(events, key=lambda event: (event.date, event.id))]
    columns = [name for name in EVENT_COLUMNS if any(row[name] for row in rows)]
    table = plain_table(*columns, right=["chips", "price"])
    for row in rows:
        table.add_row(*(escape(row[name]) for name in columns))
    return [f"[bold]{title}[/]", table]


def _event_row(event: Event) -> Mapping[str, str]:
    return {
        "date": event.date.isoformat(),
        "key": event.key,
        "event": event.kind if event.corrects is None else f"{event.kind} {event.corrects}",
        "chips": f"{event.quantity:,}",
        "chip": event.chip,
        "from": _place(event.source),
        "to": _place(event.target),
        "serials": _serials(event.serials),
        "price": "" if event.price is None else f"{event.price:,f} {event.currency}",
        "document": event.document,
    }


def draft_page(draft: Draft, *, is_recorded: bool) -> Page:
    """What recording a file adds, and the stock that it changes."""
    is_new = "recorded" if is_recorded else "would be recorded"
    counts = f"{len(draft.events):,} events {is_new}, {draft.repeated:,} were recorded before."
    if not draft.events:
        return [counts]
    table = plain_table("chip", "state", "before", "after", right=["before", "after"])
    for place, before, after in draft.changes:
        table.add_row(escape(place.chip), escape(_place(place)), f"{before:,}", f"{after:,}")
    how = [] if is_recorded else ["", "Nothing has been recorded: add --yes to do it."]
    return [*history_page(draft.events, "Events"), "", "[bold]Stock[/]", table, "", counts, *how]


def check_page(differences: Sequence[Difference], on: date) -> Page:
    """Pools where the ledger and a count differ."""
    if not differences:
        return [f"The ledger and the count agree on {on}."]
    numbers = ("ledger", "counted", "difference")
    table = plain_table("pool", "chip", *numbers, right=numbers, title=f"In service on {on}")
    for one in differences:
        missing = one.counted - one.recorded
        table.add_row(
            escape(one.pool), escape(one.chip), f"{one.recorded:,}", f"{one.counted:,}", f"{missing:+,}"
        )
    return [table, "", "Find out which is right: count again, or record what the ledger has missed."]


def _serials(serials: Sequence[str]) -> str:
    shown = " ".join(serials[:SERIALS_SHOWN])
    return shown if len(serials) <= SERIALS_SHOWN else f"{shown} +{len(serials) - SERIALS_SHOWN}"


def _place(place: Place | None) -> str:
    if place is None:
        return "outside"
    named = ", ".join(filter(None, (place.pool, place.site, place.counterparty)))
    state = place.state.replace("_", " ")
    return f"{state} ({named})" if named else state


def _text(word: str) -> str:
    return escape(word) if word else "-"
