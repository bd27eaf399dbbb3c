"""What happens to chips, and where chips can be: the words of the ledger.

Every event moves chips of one kind from one place to another, as a posting moves money between
accounts. What each kind of event takes from where is the table :data:`RULES`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from seedcorn.domain.hardware import ChipName


class State(StrEnum):
    """What chips are doing. The last two have left us and are no stock."""

    ON_ORDER = "on_order"
    IN_STORE = "in_store"
    IN_SERVICE = "in_service"
    FAILED = "failed"
    LENT = "lent"
    SOLD = "sold"
    RETIRED = "retired"


NONE = "-"
"""Written for a pool or site, it means the chips that have none; left out, it means any."""

OWNED = (State.IN_STORE, State.IN_SERVICE, State.FAILED, State.LENT)
"""States of chips that are ours."""


class Kind(StrEnum):
    """What happened."""

    ORDERED = "ordered"
    DELIVERED = "delivered"
    INSTALLED = "installed"
    MOVED = "moved"
    FAILED = "failed"
    REPAIRED = "repaired"
    LENT = "lent"
    RETURNED = "returned"
    SOLD = "sold"
    RETIRED = "retired"
    CORRECTED = "corrected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one kind of event takes from where.

    Attributes:
        before: States the chips may be in before it; empty: they come from outside.
        takes: Which of ``pool``, ``site``, ``from_pool``, ``from_site`` may be given.
        needs: Fields that must be given; where there are several groups, one of each.
        selects: Field → what of the place it says where the chips were.
        names_serials: Whether chips without serial numbers may get theirs here.
    """

    before: tuple[State, ...]
    takes: frozenset[str]
    needs: tuple[str, ...] = ()
    selects: Mapping[str, str] = field(default_factory=dict)
    names_serials: bool = False


_HERE = {"pool": "pool", "site": "site"}
_POOL_SITE = frozenset(_HERE)
_ON_HAND = (State.IN_SERVICE, State.IN_STORE, State.FAILED)

RULES: Mapping[Kind, Rule] = {
    Kind.ORDERED: Rule(before=(), takes=frozenset(), names_serials=True),
    Kind.DELIVERED: Rule(
        before=(State.ON_ORDER,),
        takes=frozenset({"site"}),
        selects={"counterparty": "counterparty"},
        names_serials=True,
    ),
    Kind.INSTALLED: Rule(
        before=(State.IN_STORE,),
        takes=_POOL_SITE,
        needs=("pool",),
        selects={"site": "site"},
        names_serials=True,
    ),
    Kind.MOVED: Rule(
        before=_ON_HAND,
        takes=frozenset({"pool", "site", "from_pool", "from_site"}),
        needs=("pool or site",),
        selects={"from_pool": "pool", "from_site": "site"},
    ),
    Kind.FAILED: Rule(before=(State.IN_SERVICE, State.IN_STORE), takes=_POOL_SITE, selects=_HERE),
    Kind.REPAIRED: Rule(before=(State.FAILED,), takes=_POOL_SITE, selects=_HERE),
    Kind.LENT: Rule(
        before=(State.IN_SERVICE, State.IN_STORE), takes=_POOL_SITE, needs=("counterparty",), selects=_HERE
    ),
    Kind.RETURNED: Rule(
        before=(State.LENT, State.IN_SERVICE),
        takes=_POOL_SITE,
        selects={**_HERE, "counterparty": "counterparty"},
    ),
    Kind.SOLD: Rule(before=_ON_HAND, takes=_POOL_SITE, selects=_HERE),
    Kind.RETIRED: Rule(before=_ON_HAND, takes=_POOL_SITE, selects=_HERE),
}
"""Every kind but the correction, which takes back another event."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """Where chips of one kind are: an account of the ledger. An empty text means none.

    Attributes:
        pool: Only of chips that are installed, or failed where they were installed.
        counterparty: Supplier of chips on order, holder of lent ones, buyer of sold ones.
    """

    chip: ChipName
    state: State
    pool: str = ""
    site: str = ""
    counterparty: str = ""

    def __str__(self) -> str:
        preposition = {State.LENT: "to", State.SOLD: "to"}.get(self.state, "from")
        parts = [self.state.replace("_", " ")]
        parts += [f"{preposition} {self.counterparty!r}"] * bool(self.counterparty)
        parts += [f"in pool {self.pool!r}"] * bool(self.pool)
        parts += [f"at {self.site!r}"] * bool(self.site)
        return " ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An event as someone writes it: places may be left out where the ledger leaves no choice.

    Attributes:
        quantity: Chips; as many as ``serials`` where those are given.
        pool, site: Where the chips are, or where they go for ``delivered``, ``installed`` and ``moved``.
        from_pool, from_site: Where ``moved`` takes them.
        state: What they did before, where that is not clear.
        price: Of one chip, in ``currency`` (ISO 4217).
        document: Invoice, order or ticket.
        key: Names the row for good, so that it is never recorded twice; empty: the ledger picks one.
        where: Field → place in the file it was read from; "" is the row.
    """

    kind: Kind
    date: date
    chip: ChipName
    quantity: int
    serials: tuple[str, ...] = ()
    state: State | None = None
    from_pool: str = ""
    from_site: str = ""
    pool: str = ""
    site: str = ""
    counterparty: str = ""
    price: Decimal | None = None
    currency: str = ""
    document: str = ""
    key: str = ""
    where: Mapping[str, str] = field(default_factory=dict, compare=False, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """Takes back the event whose key is ``corrects``: from its own date on, as if it had never been recorded."""

    corrects: str
    document: str = ""
    key: str = ""
    where: Mapping[str, str] = field(default_factory=dict, compare=False, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event as recorded: never changed afterwards.

    Attributes:
        id: 1, 2, 3 … in the order of recording, which is also the order within a date.
        source: ``None``: from outside, which is where orders come from.
        target: ``None``: to outside, which is where a corrected order goes.
        corrects: Key of the event that this one takes back.
        recorded_at: In UTC, to the second.
    """

    id: int
    kind: Kind
    date: date
    chip: ChipName
    quantity: int
    serials: tuple[str, ...]
    source: Place | None
    target: Place | None
    counterparty: str
    price: Decimal | None
    currency: str
    document: str
    key: str
    corrects: str | None
    recorded_at: datetime

    def __str__(self) -> str:
        return f"event {self.key!r} ({self.kind} {self.quantity} x {self.chip} on {self.date})"


def target_of(entry: Entry, source: Place | None) -> Place:
    """Where the chips of an entry are after it."""
    if source is None:
        return Place(chip=entry.chip, state=State.ON_ORDER, counterparty=entry.counterparty)
    match entry.kind:
        case Kind.DELIVERED:
            return Place(chip=entry.chip, state=State.IN_STORE, site=entry.site)
        case Kind.INSTALLED:
            return replace(source, state=State.IN_SERVICE, pool=entry.pool)
        case Kind.MOVED:
            return replace(source, pool=_pool_after_move(entry, source), site=entry.site or source.site)
        case Kind.FAILED:
            return replace(source, state=State.FAILED)
        case Kind.REPAIRED:
            return replace(source, state=State.IN_SERVICE if source.pool else State.IN_STORE)
        case Kind.LENT:
            return replace(source, state=State.LENT, pool="", counterparty=entry.counterparty)
        case Kind.RETURNED:
            return replace(source, state=State.IN_STORE, pool="", counterparty="")
        case Kind.SOLD:
            return Place(chip=entry.chip, state=State.SOLD, counterparty=entry.counterparty)
        case _:
            return Place(chip=entry.chip, state=State.RETIRED)


def _pool_after_move(entry: Entry, source: Place) -> str:
    """A failed chip that is sent to another site leaves its pool, unless one is named."""
    leaves = source.state is State.FAILED and entry.site not in ("", source.site)
    return entry.pool or ("" if leaves else source.pool)


def entry_of(event: Event) -> Entry | Correction:
    """The entry that records this event again, with nothing left out."""
    if event.corrects is not None:
        return Correction(corrects=event.corrects, document=event.document, key=event.key)
    rule, source, target = RULES[event.kind], event.source, event.target
    selected = (
        {} if source is None else {name: getattr(source, of) or NONE for name, of in rule.selects.items()}
    )
    goes_to = {} if target is None else {name: getattr(target, name) for name in ("pool", "site")}
    places = {name: (goes_to | selected)[name] for name in rule.takes}
    return Entry(
        kind=event.kind,
        date=event.date,
        chip=event.chip,
        quantity=event.quantity,
        serials=event.serials,
        state=None if source is None else source.state,
        **places,
        counterparty=event.counterparty,
        price=event.price,
        currency=event.currency,
        document=event.document,
        key=event.key,
    )
