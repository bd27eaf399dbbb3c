"""Laws of the ledger, for every history that hypothesis invents, on SQLite and PostgreSQL."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from seedcorn.errors import InputError
from seedcorn.stock import Correction, Event, Kind, csv_of, open_ledger, read_rows, stock_on
from seedcorn.stock.journal import draft, live
from tests.stock.builders import H20, NOW, an_entry, day, record
from tests.stock.test_ledger import engine_of

DAYS = st.integers(1, 6)
POOLS = st.sampled_from(["a", "b"])
SITES = st.sampled_from(["x", "y"])
NAMES = st.sampled_from(["p", "q"])

OUTSIDE = ("", "", "", "")
ON_HAND = ("in_store", "in_service", "failed")


class Twin:
    """A ledger of chips without names, done by hand: postings, and the lowest a balance falls to.

    A place is (state, pool, site, counterparty); a posting is (day, number, from, to, chips).
    """

    def __init__(self):
        self.postings = {}

    def balance(self, place, upto):
        """Chips in a place after every posting up to (day, number)."""
        return sum(
            (to == place) * chips - (source == place) * chips
            for on, number, source, to, chips in self.postings.values()
            if (on, number) <= upto
        )

    def lowest(self, place, since):
        """The least that a place holds at (day, number) or at any later posting."""
        later = [posting[:2] for posting in self.postings.values() if posting[:2] > since]
        return min(self.balance(place, moment) for moment in [since, *later])

    def places(self, on):
        """Places that hold chips at the end of a day."""
        known = {place for posting in self.postings.values() for place in posting[2:4]} - {OUTSIDE}
        return sorted(place for place in known if self.balance(place, (on, 10**6)) > 0)


def after(kind, place, pool, site, name):
    """Where an event takes chips, as docs/reference/stock.md has it; ``None`` if it cannot."""
    state, was_in, was_at, _ = place
    match kind:
        case "delivered" if state == "on_order":
            return ("in_store", "", site, "")
        case "installed" if state == "in_store":
            return ("in_service", pool, was_at, "")
        case "moved" if state == "in_service" and (was_in, was_at) != (pool, site):
            return ("in_service", pool, site, "")
        case "failed" if state in ("in_service", "in_store"):
            return ("failed", was_in, was_at, "")
        case "repaired" if state == "failed":
            return ("in_service" if was_in else "in_store", was_in, was_at, "")
        case "lent" if state in ("in_service", "in_store"):
            return ("lent", "", was_at, name)
        case "returned" if state in ("lent", "in_service"):
            return ("in_store", "", was_at, "")
        case "sold" if state in ON_HAND:
            return ("sold", "", "", name)
        case "retired" if state in ON_HAND:
            return ("retired", "", "", "")
    return None


class LedgerMachine(RuleBasedStateMachine):
    """Events at random days, corrections of random events; the twin says which of them are possible."""

    new_db: Callable[[], str]

    def __init__(self):
        super().__init__()
        self.stack = ExitStack()
        self.db = type(self).new_db()
        self.ledger = self.stack.enter_context(open_ledger(self.db, create=True))
        self.twin = Twin()
        self.engine = engine_of(self.db)
        self.stack.callback(self.engine.dispose)

    def teardown(self):
        self.stack.close()

    @initialize()
    def begin(self):
        """Some chips in every state that most events take them from."""
        on_order, in_store = ("on_order", "", "", "p"), ("in_store", "", "x", "")
        in_service = ("in_service", "a", "x", "")
        self.order(1, 9, "p")
        for kind, chips, source, to in (
            ("delivered", 8, on_order, in_store),
            ("installed", 5, in_store, in_service),
            ("failed", 1, in_service, ("failed", "a", "x", "")),
            ("failed", 1, in_store, ("failed", "", "x", "")),
        ):
            event = self.try_to_record(self.entry(Kind(kind), chips, 1, source, to), True)
            self.twin.postings[event.key] = (1, event.id, source, to, chips)

    def try_to_record(self, row, is_possible):
        before = self.ledger.events()
        try:
            (event,) = record(self.ledger, row).events
        except InputError:
            assert not is_possible, row
            assert self.ledger.events() == before
            return None
        assert is_possible, row
        return event

    @rule(on=DAYS, chips=st.integers(1, 9), supplier=NAMES)
    def order(self, on, chips, supplier):
        event = self.try_to_record(an_entry("ordered", chips, on=on, counterparty=supplier), True)
        self.twin.postings[event.key] = (on, event.id, OUTSIDE, ("on_order", "", "", supplier), chips)

    @rule(data=st.data(), on=DAYS, chips=st.integers(1, 4), pool=POOLS, site=SITES, name=NAMES)
    def take(self, data, on, chips, pool, site, name):
        places = [(place, kind) for place in self.twin.places(on) for kind in Kind]
        places = [pair for pair in places if after(pair[1], pair[0], pool, site, name)]
        if not places:
            return
        place, kind = data.draw(st.sampled_from(places))
        to = after(kind, place, pool, site, name)
        moment = (on, len(self.ledger.events()) + 1)
        event = self.try_to_record(
            self.entry(kind, chips, on, place, to), chips <= self.twin.lowest(place, moment)
        )
        if event is not None:
            self.twin.postings[event.key] = (on, event.id, place, to, chips)

    def entry(self, kind, chips, on, place, to):
        """The entry that says exactly which chips it takes."""
        state, pool, site, name = place
        said = {"state": state, "counterparty": to[3]}
        match kind:
            case "delivered":
                said |= {"site": to[2], "counterparty": name}
            case "installed":
                said |= {"pool": to[1], "site": site}
            case "moved":
                said |= {"from_pool": pool, "from_site": site, "pool": to[1], "site": to[2]}
            case "returned":
                said |= {"pool": pool, "site": site, "counterparty": name}
            case _:
                said |= {"pool": pool or "-", "site": site}
        return an_entry(kind.value, chips, on=on, **said)

    @rule(data=st.data())
    def correct(self, data):
        if not self.twin.postings:
            return
        key = data.draw(st.sampled_from(sorted(self.twin.postings)))
        on, number, _, to, chips = self.twin.postings[key]
        is_possible = chips <= self.twin.lowest(to, (on, number))
        if self.try_to_record(Correction(corrects=key), is_possible) is not None:
            del self.twin.postings[key]

    @rule(on=DAYS)
    def stock_is_what_the_twin_has(self, on):
        held = {
            (p.state.value, p.pool, p.site, p.counterparty): holding.chips
            for holding in self.ledger.stock_on(day(on))
            for p in [holding.place]
        }
        assert held == {place: self.twin.balance(place, (on, 10**6)) for place in self.twin.places(on)}

    @rule(on=DAYS)
    def stock_is_the_sum_of_events(self, on):
        """Corrections counted as what they are: events the other way round. The database adds up."""
        held: Counter[tuple[str, ...]] = Counter()
        with self.engine.connect() as connection:
            for end, sign in (("from", -1), ("to", 1)):
                places = f"{end}_state, {end}_pool, {end}_site, {end}_counterparty"
                rows = connection.execute(
                    text(
                        f"SELECT {places}, SUM(quantity) FROM event "
                        f"WHERE date <= :on AND {end}_state IS NOT NULL GROUP BY {places}"
                    ),
                    {"on": day(on).isoformat()} if self.engine.dialect.name == "sqlite" else {"on": day(on)},
                )
                for *place, chips in rows:
                    held[tuple(place)] += sign * chips
        assert all(chips >= 0 for chips in held.values())
        assert {place: chips for place, chips in held.items() if chips} == {
            (h.place.state.value, h.place.pool, h.place.site, h.place.counterparty): h.chips
            for h in self.ledger.stock_on(day(on))
        }

    @rule()
    def replaying_the_log_rebuilds_the_ledger(self):
        exported = csv_of(self.ledger.events())
        with TemporaryDirectory() as folder:
            file = Path(folder) / "ledger.csv"
            file.write_text(exported, encoding="utf-8")
            rows = read_rows(file, lambda name: H20)
        with open_ledger(type(self).new_db(), create=True) as other:
            record(other, *rows)
            assert other.events() == self.ledger.events()
        assert record(self.ledger, *rows).events == (), "nor does it add to where it came from"

    @invariant()
    def no_stock_is_negative(self):
        events = self.ledger.events()
        for on in range(1, 7):
            assert all(holding.chips > 0 for holding in stock_on(events, day(on)))


def test_the_ledger_takes_exactly_what_leaves_no_place_negative(new_db):
    machine = type("Machine", (LedgerMachine,), {"new_db": staticmethod(new_db)})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=8,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


WORDS = {"pool": POOLS, "site": SITES, "from_pool": POOLS, "counterparty": NAMES}
SERIALS = st.lists(st.sampled_from(["S1", "S2", "S3", "S4"]), unique=True, max_size=3)
NAMED_ENTRIES = st.builds(
    lambda kind, on, quantity, serials, words: an_entry(
        kind, quantity, on=on, serials=" ".join(serials), **words
    ),
    kind=st.sampled_from([kind.value for kind in Kind if kind is not Kind.CORRECTED]),
    on=DAYS,
    quantity=st.integers(1, 2),
    serials=SERIALS,
    words=st.fixed_dictionaries({}, optional=WORDS),
)
FIRST = [
    an_entry("ordered", serials="S1 S2", on=1),
    an_entry("ordered", 4, on=1),
    an_entry("delivered", serials="S1 S2 S3", on=2),
    an_entry("installed", 2, on=3, pool="a"),
    an_entry("installed", serials="S1", on=3, pool="a"),
]


@given(
    rows=st.lists(NAMED_ENTRIES | st.integers(1, 9).map(lambda n: Correction(corrects=f"e{n}")), max_size=20)
)
@settings(deadline=None, max_examples=60)
def test_a_serial_is_in_one_place_and_goes_from_where_it_was(rows):
    events: tuple[Event, ...] = ()
    for row in [*FIRST, *rows]:
        with suppress(InputError):
            events += draft(events, [row], now=NOW).events

    for on in range(1, 7):
        holdings = stock_on(events, day(on))
        serials = [serial for holding in holdings for serial in holding.serials]
        assert len(serials) == len(set(serials))
        assert all(len(holding.serials) <= holding.chips for holding in holdings)
    for serial in ("S1", "S2", "S3", "S4"):
        path = [event for event in live(events) if serial in event.serials]
        path.sort(key=lambda event: (event.date, event.id))
        for before, then in pairwise(path):
            assert before.target == then.source
