"""The ledger of chips as tables."""

from collections.abc import Mapping, Sequence
from datetime import date

from rich.markup import escape
from rich.table import Table

from seedcorn.report.tables import Page, plain_table
from seedcorn.stock import OWNED, By, Difference, Draft, Event, Place, State

STATES = (State.ON_ORDER, *OWNED)


def stock_page(sums: Mapping[tuple[str, ...], Mapping[State, int]], by: Sequence[By], on: date) -> Page:
    """The stock of a date, a row for each combination of ``by``."""
    title = f"Stock on {on}"
    if By.STATE in by:
        return [_states_table(sums, by, title)]
    states = [state.replace("_", " ") for state in STATES]
    table = plain_table(*by, *states, "owned", right=[*states, "owned"], title=title)
    for group, chips in sums.items():
        counts = [chips.get(state, 0) for state in STATES]
        owned = sum(chips.get(state, 0) for state in OWNED)
        if any(counts):
            table.add_row(
                *map(_text, group), *(f"{count:,}" if count else "-" for count in counts), f"{owned:,}"
            )
    return [table]


def _states_table(sums: Mapping[tuple[str, ...], Mapping[State, int]], by: Sequence[By], title: str) -> Table:
    table = plain_table(*by, "chips", right=["chips"], title=title)
    for group, chips in sums.items():
        table.add_row(*(_text(word).replace("_", " ") for word in group), f"{sum(chips.values()):,}")
    return table


def history_page(events: Sequence[Event], title: str) -> Page:
    """Events, one a row, in the order of their dates; a correction says what it takes back."""
    columns = ("date", "key", "event", "chips", "chip", "from", "to", "price", "document")
    table = plain_table(*columns, right=["chips", "price"], title=title)
    keys = {event.id: event.key for event in events}
    for event in sorted(events, key=lambda event: (event.date, event.id)):
        takes_back = "" if event.corrects is None else f" {keys.get(event.corrects, event.corrects)}"
        price = "" if event.price is None else f"{event.price:,f} {event.currency}"
        table.add_row(
            event.date.isoformat(),
            escape(event.key),
            f"{event.kind}{escape(takes_back)}",
            f"{event.quantity:,}",
            escape(event.chip),
            _place(event.source),
            _place(event.target),
            price,
            escape(event.document),
        )
    return [table]


def draft_page(draft: Draft, *, is_recorded: bool) -> Page:
    """What recording a file adds, and the stock that it changes."""
    is_new = "recorded" if is_recorded else "would be recorded"
    counts = f"{len(draft.events):,} events {is_new}, {draft.repeated:,} were recorded before."
    if not draft.events:
        return [counts]
    table = plain_table("chip", "state", "before", "after", right=["before", "after"])
    for place, before, after in draft.changes:
        table.add_row(escape(place.chip), _place(place), f"{before:,}", f"{after:,}")
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


def _place(place: Place | None) -> str:
    return "outside" if place is None else escape(str(place))


def _text(word: str) -> str:
    return escape(word) if word else "-"
