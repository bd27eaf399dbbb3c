"""What is worth buying, for people: the best basket, each candidate, and what cannot be counted on."""

from collections.abc import Iterator, Sequence

from rich.markup import escape
from rich.table import Table

from seedcorn.domain.horizon import Money
from seedcorn.domain.sourcing import Basket, Block, Candidate, Sourcing
from seedcorn.report.runway import defaults_text
from seedcorn.report.tables import Page, plain_table
from seedcorn.units import format_money, format_watts


def sourcing_headline(sourcing: Sourcing) -> str:
    """The answer a reader wants first, in one sentence."""
    basket = sourcing.basket
    if basket is None:
        return "Nothing that is offered can be counted on"
    if not basket.purchases:
        return f"Nothing is worth buying{_limits(sourcing)}"
    what = " and ".join(f"{p.chips:,} x {p.name}" for p in basket.purchases)
    does = [f"frees {basket.freed:,.0f} {sourcing.reference} chips for training"]
    if basket.generations is not None:
        does.append(f"trains {basket.generations:.2f} generations more")
    return f"Buy {what}{_limits(sourcing)}: it {' and '.join(does)}{_spent(basket)}{_worth(basket)}"


def sourcing_page(sourcing: Sourcing) -> Page:
    """Headline and tables."""
    page: list[Table | str] = [f"{sourcing_headline(sourcing)}."]
    if sourcing.candidates:
        page += ["", _candidates(sourcing)]
        page += [escape(text) for text in _beside(sourcing.candidates)]
    if sourcing.refused:
        page += [
            "",
            _refused(sourcing),
            *(escape(f"  {r.name}: {why}") for r in sourcing.refused for why in r.why),
        ]
    if sourcing.defaults:
        page += ["", defaults_text(sourcing.defaults)]
    if sourcing.disclaimer:
        page += ["", sourcing.disclaimer]
    return page


def _limits(sourcing: Sourcing) -> str:
    limits = []
    if sourcing.budget is not None:
        limits.append(_money(sourcing.budget))
    if sourcing.power_w is not None:
        limits.append(format_watts(sourcing.power_w))
    return f" within {' and '.join(limits)}" if limits else ""


def _spent(basket: Basket) -> str:
    parts = [] if basket.cost is None else [_money(basket.cost)]
    parts += [] if basket.power_w is None else [format_watts(basket.power_w)]
    return f"; takes {', '.join(parts)}; best of {basket.tried:,} baskets" if parts else ""


def _worth(basket: Basket) -> str:
    """What the freed chips are worth, for people to set against the cost."""
    return "" if basket.worth is None else f"; what it frees is worth {_money(basket.worth)}"


def _candidates(sourcing: Sourcing) -> Table:
    """A row for each block; what the first node is worth stands in the first."""
    counted = f"{sourcing.reference} chips"
    columns = (
        "candidate",
        "from",
        "export rules",
        "one node frees",
        "chips",
        "free",
        "P10–P90",
        "generations",
        "cost",
        "cost of one freed",
        "power",
    )
    table = plain_table(
        *columns, right=columns[3:], title=f"Candidates, best first (freed ones in {counted})"
    )
    for candidate in sourcing.candidates:
        node = "lifts a shortage" if candidate.node_frees is None else f"{candidate.node_frees:.2f}"
        head = [candidate.name, str(candidate.first), candidate.standing, f"{node} of {candidate.node}"]
        for block in candidate.blocks:
            table.add_row(*head, *_block(block))
            head = [""] * len(head)
    return table


def _block(block: Block) -> Iterator[str]:
    quantiles = block.freed_quantiles
    yield f"{block.chips:,}"
    yield f"{block.freed:,.1f}"
    yield "" if quantiles is None else f"{quantiles.p10:,.0f}–{quantiles.p90:,.0f}"
    yield "-" if block.generations is None else f"{block.generations:+.2f}"
    yield "unknown" if block.cost is None else _money(block.cost)
    is_priced = block.cost is not None and block.freed > 0
    yield _money(_per(block.cost, block.freed)) if is_priced and block.cost else "-"
    yield "unknown" if block.power_w is None else format_watts(block.power_w)


def _per(money: Money, count: float) -> Money:
    return Money(amount=money.amount / count, currency=money.currency)


def _beside(candidates: Sequence[Candidate]) -> Iterator[str]:
    """What the rules say, and which public facts stood in."""
    for candidate in candidates:
        yield from (f"  {candidate.name}: {why}" for why in candidate.why)
        yield from (f"  {candidate.name}: not given, taken instead: {prior}" for prior in candidate.priors)


def _refused(sourcing: Sourcing) -> Table:
    table = plain_table("not counted on", "chip", "export rules", title="What cannot be counted on")
    for refused in sourcing.refused:
        table.add_row(refused.name, refused.chip, refused.standing)
    return table


def _money(money: Money) -> str:
    return format_money(money.amount, money.currency)
