"""``seedcorn demo``: the five answers on bundled data.

The move is that of the mixed fleet; the other answers are those of the company of November 2023. They are
worked out side by side in two processes.
"""

import json
import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seedcorn.cli.output import note_compilation, print_json, print_page, progress_shown, warn
from seedcorn.report.tables import Page

if TYPE_CHECKING:
    from seedcorn.domain.horizon import Horizon
    from seedcorn.domain.plan import Plan
    from seedcorn.domain.runway import Runway
    from seedcorn.domain.sale import Sale
    from seedcorn.domain.scenario import Scenario
    from seedcorn.domain.sourcing import Sourcing
    from seedcorn.study import Progress
    from seedcorn.wire import Located, ScenarioDocument

FLEET, COMPANY = "mixed-fleet", "after-the-october-rule"
TODAY = date(2023, 11, 24)
"""Of the company: a week after the rule came into force."""

DRAWS = 200
"""Futures of the company, for quick P10 and P90; ``runway`` draws 1,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One of the five.

    Attributes:
        document: As ``--json`` of its command has it.
        then: Commands to go on with.
    """

    name: str
    question: str
    page: Page
    document: Mapping[str, object]
    then: tuple[str, ...]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("demo")(demo)


def demo(
    out: Annotated[Path | None, typer.Option("--out", help="Write the plan of the mixed fleet here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one document instead of tables.")] = False,
) -> None:
    """Answer the five questions on bundled data: move, own, source, last, sell. No GPU, no network.

    Exits 1 if a replay missed an SLO.
    """
    from seedcorn.wire import check_writable, plan_json, write_text_atomically

    if out is not None:
        check_writable(out)
    note_compilation()
    with _another_process() as beside, progress_shown() as progress:
        sourcing = beside.submit(company_sourcing)
        runway = beside.submit(company_runway)
        sale = beside.submit(company_sale)
        located, plan = fleet_plan(progress)
        progress("the company of November 2023", 0, 3)
        answers = [move(plan, located, out), own(), source(sourcing.result())]
        progress("the company of November 2023", 1, 3)
        answers.append(last(runway.result()))
        progress("the company of November 2023", 2, 3)
        answers.append(sell(sale.result()))
        progress("the company of November 2023", 3, 3)
    if out is not None:
        write_text_atomically(out, plan_json(plan, located, folder=out.parent))
    if as_json:
        print_json({"seedcorn": 1, "kind": "demo"} | {answer.name: answer.document for answer in answers})
    else:
        for number, answer in enumerate(answers, start=1):
            print_page(_shown(answer, f"{number} of {len(answers)}"))
    for warning in (*plan.warnings, *sale.result().warnings):
        warn(warning)
    if not (plan.slos_held and sale.result().slos_held):
        raise typer.Exit(1)


# -- what is worked out -------------------------------------------------------------------------------


def fleet_plan(progress: "Progress") -> "tuple[Located[ScenarioDocument], Plan]":
    """The plan of the mixed fleet."""
    from seedcorn.study import plan_scenario, resolve
    from seedcorn.wire import read_scenario

    located = read_scenario(Path(FLEET))
    return located, plan_scenario(resolve(located), progress)


def company_sale() -> "Sale":
    """What the company can sell."""
    from seedcorn.study import sale_of

    return sale_of(_company(), _silent)


def company_runway() -> "Runway":
    """How long the company's stock lasts."""
    from seedcorn.study.runway import runway_of

    return runway_of(*_company_ahead(), _silent)


def company_sourcing() -> "Sourcing":
    """What the company should buy."""
    from seedcorn.study.sourcing import sourcing_of

    return sourcing_of(*_company_ahead(), _silent)


def _company_ahead() -> "tuple[Scenario, Horizon]":
    from seedcorn.study.horizon import resolve_horizon
    from seedcorn.wire import read_scenario

    scenario = _company()
    return scenario, replace(resolve_horizon(read_scenario(Path(COMPANY)), scenario), draws=DRAWS)


def _company() -> "Scenario":
    from seedcorn.study import resolve
    from seedcorn.wire import read_scenario

    return resolve(read_scenario(Path(COMPANY)))


def _silent(what: str, done: int, total: int) -> None:
    """Progress that is told elsewhere."""


@contextmanager
def _another_process() -> Iterator[ProcessPoolExecutor]:
    """One process beside this one, started afresh; what it has not begun is dropped if this one fails."""
    pool = ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


# -- the answers --------------------------------------------------------------------------------------


def move(plan: "Plan", located: "Located[ScenarioDocument]", out: Path | None) -> Answer:
    """Which services leave the scarce chips."""
    from seedcorn.report.plan import plan_page
    from seedcorn.wire import plan_json

    written = () if out is not None else (f"seedcorn plan {FLEET} --out plan.json",)
    return Answer(
        name="move",
        question="which services leave the scarce chips, to where, and what does that free?",
        page=plan_page(plan),
        document=json.loads(plan_json(plan, located, folder=Path())),
        then=(
            *written,
            f"seedcorn explain {out or 'plan.json'} search",
            f"seedcorn replay {out or 'plan.json'}",
        ),
    )


def own() -> Answer:
    """What the company has, by the ledger that comes with it."""
    from seedcorn.catalog import find_chip
    from seedcorn.cli.stock import stock_json
    from seedcorn.report.stock import stock_page
    from seedcorn.stock import By, open_ledger, read_rows, totals
    from seedcorn.wire import example_folder

    file = example_folder(COMPANY) / "stock.csv"
    rows = read_rows(file, lambda name: find_chip(name).chip.name)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_ledger(f"{folder}/chips.sqlite", create=True) as ledger,
    ):
        ledger.record(rows, now=datetime.now().astimezone())
        holdings = ledger.stock_on(TODAY)
    groups = (By.CHIP, By.POOL, By.SITE)
    return Answer(
        name="own",
        question="what chips do we have, where, in what state, on any date?",
        page=[
            *stock_page(totals(holdings, groups), groups, TODAY),
            "",
            f"The sum of {len(rows)} events; any other date is as near.",
        ],
        document=stock_json(holdings, groups, TODAY),
        then=(
            f"seedcorn stock import {_near(file)} --db chips.sqlite --yes",
            "seedcorn stock show --db chips.sqlite --on 2022-11-24",
        ),
    )


def source(sourcing: "Sourcing") -> Answer:
    """Which chips the company may buy, and which are worth it."""
    from seedcorn.report.sourcing import sourcing_page
    from seedcorn.wire.runway import sourcing_json

    return Answer(
        name="source",
        question="which chips may we buy on this date, and which are worth buying?",
        page=sourcing_page(sourcing),
        document=json.loads(sourcing_json(sourcing)),
        then=(f"seedcorn source {COMPANY}", f"seedcorn rules check H800 --to CN --on {TODAY}"),
    )


def last(runway: "Runway") -> Answer:
    """How many generations the company's stock trains."""
    from seedcorn.report.runway import runway_summary
    from seedcorn.wire.runway import runway_json

    return Answer(
        name="last",
        question="how many more model generations can the stock train?",
        page=runway_summary(runway),
        document=json.loads(runway_json(runway)),
        then=(f"seedcorn runway {COMPANY}",),
    )


def sell(sale: "Sale") -> Answer:
    """What the company can sell."""
    from seedcorn.cli.sell import sale_json
    from seedcorn.report.sale import sale_summary

    return Answer(
        name="sell",
        question="how many chip-hours can be sold without touching training or an SLO?",
        page=sale_summary(sale),
        document=sale_json(sale),
        then=(
            f"seedcorn sell {COMPANY}",
            f"seedcorn sell quote {COMPANY} --chips 512 --pool a10 --from 22:00 --to 06:00",
        ),
    )


def _shown(answer: Answer, number: str) -> Page:
    """The answer under its question, and the commands to go on with."""
    title = f"[bold]{number} · {answer.name.capitalize()}[/]: {answer.question}"
    return [title, "", *answer.page, "", *(f"  $ {command}" for command in answer.then), "", ""]


def _near(path: Path) -> Path:
    """``path``, from here where it is below."""
    here = Path.cwd()
    return Path(os.path.relpath(path, here)) if path.is_relative_to(here) else path
