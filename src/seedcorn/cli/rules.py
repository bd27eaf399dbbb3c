"""``seedcorn rules``: what the export rules say of a chip, which chips a change of rules changes, which rules there are."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from math import isfinite
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from seedcorn.catalog import chips, find_chip
from seedcorn.cli.output import print_json, print_page
from seedcorn.errors import InputError
from seedcorn.report.tables import Page, plain_table
from seedcorn.rules import NOT_ADVICE, Buyer, Citation, Judgement, Signal, judge, rulebook

SCHEMA_VERSION = 1


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
To = Annotated[str, typer.Option("--to", help="Destination: two letters of ISO 3166, such as CN.")]
Headquarters = Annotated[
    str | None,
    typer.Option(
        "--hq", help="Where the buyer or its ultimate parent is headquartered; default: the destination."
    ),
]
EndUse = Annotated[
    str | None,
    typer.Option("--end-use", help="An end use or user that rules name: entity-list, supercomputer."),
]
WithUnenforced = Annotated[
    bool,
    typer.Option(
        "--with-unenforced",
        help="Count texts that are law but that BIS said it will not enforce (AI Diffusion).",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    rules = typer.Typer(
        name="rules",
        help="Export rules, dated: decision support, not legal advice.",
        no_args_is_help=True,
    )
    rules.command("check")(check)
    rules.command("diff")(diff)
    rules.command("list")(list_versions)
    app.add_typer(rules)


def check(
    chip: Annotated[str, typer.Argument(help="A chip's name or alias, or a file of specs (.toml, .yaml).")],
    to: To,
    hq: Headquarters = None,
    on: Annotated[str | None, typer.Option(help="Date, such as 2026-01-15; default: today.")] = None,
    end_use: EndUse = None,
    with_unenforced: WithUnenforced = False,
    as_json: AsJson = False,
) -> None:
    """Say what the export rules of a date ask for one chip, destination and buyer, and why.

    Exits 0 with any answer, unknown included: read the outcome.
    """
    from seedcorn.study.admission import ruled_chip

    buyer = _buyer(to, hq, end_use)
    day = date.today() if on is None else _date(on, "--on")
    judgement = judge(ruled_chip(find_chip(chip)), rulebook(), buyer, on=day, with_unenforced=with_unenforced)
    if as_json:
        print_json(
            _document("rules-check")
            | {"chip": judgement.chip}
            | _asked(buyer, with_unenforced=with_unenforced)
            | _judgement_json(judgement)
        )
    else:
        print_page(_judgement_page(judgement, buyer, is_hq_given=hq is not None))


def diff(
    on: Annotated[str, typer.Option(help="The earlier date, such as 2022-11-01.")],
    and_: Annotated[str, typer.Option("--and", help="The later date, such as 2023-12-01.")],
    to: To = "CN",
    hq: Headquarters = None,
    end_use: EndUse = None,
    with_unenforced: WithUnenforced = False,
    as_json: AsJson = False,
) -> None:
    """List the chips of the catalogue whose class or outcome differs between two dates."""
    from seedcorn.study.admission import ruled_chip

    buyer = _buyer(to, hq, end_use)
    days = (_date(on, "--on"), _date(and_, "--and"))
    changed = []
    for entry in chips():
        before, after = (
            judge(ruled_chip(entry), rulebook(), buyer, on=day, with_unenforced=with_unenforced)
            for day in days
        )
        if _answer(before) != _answer(after):
            changed.append((before, after))
    if as_json:
        print_json(
            _document("rules-diff")
            | _asked(buyer, with_unenforced=with_unenforced)
            | {"on": days[0].isoformat(), "and": days[1].isoformat()}
            | {"chips": [_change_json(before, after) for before, after in changed]}
        )
    else:
        print_page(_diff_page(changed, buyer, days))


def list_versions(as_json: AsJson = False) -> None:
    """List the versions of the rules: since when, by which text, and how well that text is known."""
    versions = [
        _citation_json(version.citation)
        | {
            "kind": version.kind,
            "published": None if version.published is None else version.published.isoformat(),
            "change": version.change,
        }
        for version in rulebook().versions
    ]
    checked = rulebook().checked.isoformat()
    if as_json:
        print_json(_document("rules-list") | {"checked": checked, "versions": versions})
        return
    table = plain_table("id", "in force", "kind", "what it changes", "text", "known by")
    for version in versions:
        keys = ("version", "in_force", "kind", "change", "cite", "status")
        table.add_row(*(escape(str(version[key])) for key in keys))
    print_page([table, f"\nTexts read up to {checked}. {NOT_ADVICE}"])


def _buyer(to: str, hq: str | None, end_use: str | None) -> Buyer:
    rules = rulebook()
    if end_use is not None and end_use not in rules.end_uses:
        raise InputError(f"--end-use: no rule here names {end_use!r}; known are {', '.join(rules.end_uses)}")
    destination = rules.destination(to)
    headquarters = destination if hq is None else rules.destination(hq)
    return Buyer(destination=destination, headquarters=headquarters, end_use=end_use)


def _date(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option}: expected a date, such as 2026-01-15, got {text!r}") from None


def _document(kind: str) -> dict[str, object]:
    return {"seedcorn": SCHEMA_VERSION, "kind": kind, "disclaimer": NOT_ADVICE}


def _asked(buyer: Buyer, *, with_unenforced: bool) -> dict[str, object]:
    return {
        "to": buyer.destination,
        "hq": buyer.headquarters,
        "end_use": buyer.end_use,
        "with_unenforced": with_unenforced,
    }


def _answer(judgement: Judgement) -> dict[str, object]:
    """What two dates are compared by."""
    return {
        "class": judgement.control_class,
        "outcome": judgement.outcome.value,
        "exception": judgement.exception,
        "notice_days": judgement.notice_days,
    }


def _judgement_json(judgement: Judgement) -> dict[str, object]:
    return {
        "on": judgement.on.isoformat(),
        "version": judgement.version,
        "tpp": judgement.tpp,
        "performance_density": judgement.performance_density,
        **_answer(judgement),
        "domestic": judgement.is_domestic,
        "die_areas": [
            {"item": area.item, "up_to_mm2": area.up_to_mm2 if isfinite(area.up_to_mm2) else None}
            for area in judgement.die_areas
        ],
        "reasons": list(judgement.reasons),
        "sources": [_citation_json(citation) for citation in judgement.sources],
        "signals": [_signal_json(signal) for signal in judgement.signals],
    }


def _citation_json(citation: Citation) -> dict[str, object]:
    return asdict(citation) | {"in_force": citation.in_force.isoformat()}


def _signal_json(signal: Signal) -> dict[str, object]:
    return {
        "id": signal.id,
        "kind": signal.kind,
        "in_force": signal.in_force.isoformat(),
        "text": signal.text,
        "cite": signal.cite,
        "status": signal.status,
    }


def _change_json(before: Judgement, after: Judgement) -> dict[str, object]:
    return {"chip": before.chip, "before": _answer(before), "after": _answer(after)}


def _judgement_page(judgement: Judgement, buyer: Buyer, *, is_hq_given: bool) -> Page:
    answer = plain_table("", "")
    answer.show_header = False
    for label, value in (
        ("outcome", f"[bold]{_outcome(judgement)}[/]"),
        ("class", judgement.control_class),
        ("TPP", _figure(judgement.tpp, 1)),
        ("performance density", _figure(judgement.performance_density, 3)),
        (
            "headquarters",
            buyer.headquarters if is_hq_given else f"{buyer.headquarters} (taken: the destination)",
        ),
        ("rules", f"{judgement.version}, {judgement.on}"),
    ):
        answer.add_row(label, value)
    sources = [f"{c.version}  {c.cite}, {c.in_force}: {c.title} [{c.status}]" for c in judgement.sources]
    signals = [f"{s.id}  {s.text} {s.cite} [{s.status}]" for s in judgement.signals]
    page: list[Table | Text | str] = [
        f"[bold]{escape(judgement.chip)}[/] to {buyer.destination}",
        answer,
        "",
        _listed("Why", judgement.reasons),
        "",
        _listed("Sources", sources),
        "",
    ]
    if signals:
        page += [_listed("Beside the rules, never an outcome", signals), ""]
    return [*page, NOT_ADVICE]


def _listed(title: str, texts: Sequence[str]) -> Table:
    table = plain_table("", "", title=title)
    table.show_header = False
    for text in texts:
        table.add_row("-", escape(text))
    return table


def _diff_page(changed: Sequence[tuple[Judgement, Judgement]], buyer: Buyer, days: tuple[date, date]) -> Page:
    before, after = (day.isoformat() for day in days)
    table = plain_table("chip", f"class {before}", f"outcome {before}", f"class {after}", f"outcome {after}")
    for old, new in changed:
        table.add_row(old.chip, old.control_class, _outcome(old), new.control_class, _outcome(new))
    count = (
        f"{len(changed)} of {len(chips())} chips change between {before} and {after} for {buyer.destination}"
    )
    summary = f"{count}, headquarters {buyer.headquarters}. {NOT_ADVICE}"
    return [table, "", summary] if changed else [summary]


def _outcome(judgement: Judgement) -> str:
    text = judgement.outcome.replace("_", " ")
    if judgement.exception is None:
        return text
    notice = f", notice {judgement.notice_days} days" if judgement.notice_days else ""
    return f"{text} {judgement.exception}{notice}"


def _figure(value: float | None, decimals: int) -> str:
    return "unknown" if value is None else f"{value:,.{decimals}f}".removesuffix(".0")
