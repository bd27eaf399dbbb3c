"""``seedcorn chips`` and ``seedcorn models``: what the catalogue knows, who says so, how far to trust it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from seedcorn.catalog import (
    CatalogChip,
    CatalogModel,
    Fact,
    Kind,
    Origin,
    chips,
    find_chip,
    find_model,
    models,
    number,
)
from seedcorn.cli.output import print_json, print_page
from seedcorn.domain.model import ModelSpec
from seedcorn.report.tables import Page, plain_table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add both commands to the application."""
    app.command("chips")(show_chips)
    app.command("models")(show_models)


def show_chips(
    name: Annotated[
        str | None,
        typer.Argument(help="A chip's name or alias, or a file of specs (.toml, .yaml); none: all chips."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show chips: each fact as published, its source and how far to trust it.

    In the list, ~ marks an estimate and - what nobody published; link is both directions together.
    """
    if name is None:
        found = chips()
        _show(as_json, data=[_chip_json(chip) for chip in found], page=[_chips_table(found)])
    else:
        chip = find_chip(name)
        _show(as_json, data=_chip_json(chip), page=_chip_page(chip))


def show_models(
    name: Annotated[
        str | None,
        typer.Argument(help="A Hugging Face id or short name, or a config.json; none: all models."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show models: the architecture, where its configuration comes from, under which licence.

    In the list, parameters are billions as published, experts are chosen/routed + shared, and
    attention gives query/key-value heads.
    """
    if name is None:
        found = models()
        _show(as_json, data=[_model_json(model) for model in found], page=[_models_table(found)])
    else:
        model = find_model(name)
        _show(as_json, data=_model_json(model), page=_model_page(model))


def _show(as_json: bool, *, data: object, page: Page) -> None:
    """Print ``data`` as JSON, or ``page`` for people."""
    if as_json:
        print_json(data)
    else:
        print_page(page)


_LISTED: Mapping[str, tuple[str, float]] = {
    "memory\nGB": ("memory", 1e9),
    "bandwidth\nGB/s": ("memory_bandwidth", 1e9),
    "bf16\nTFLOP/s": ("bf16", 1e12),
    "fp8\nTFLOP/s": ("fp8", 1e12),
    "int8\nTOP/s": ("int8", 1e12),
    "link\nGB/s": ("link_bandwidth", 1e9),
    "TDP\nW": ("tdp", 1.0),
}
"""Column of the list → fact field, and what one of the column's unit is in the field's base unit."""


def _chips_table(found: Iterable[CatalogChip]) -> Table:
    table = plain_table("chip", *_LISTED, "announced", "trust", right=tuple(_LISTED))
    for entry in found:
        numbers = (_listed(entry.facts.get(field), one) for field, one in _LISTED.values())
        announced = entry.facts.get("announced")
        table.add_row(entry.chip.name, *numbers, str(announced.value) if announced else "-", entry.confidence)
    return table


def _listed(fact: Fact | None, one: float) -> str:
    if fact is None:
        return "-"
    return f"{'~' if fact.kind is Kind.ESTIMATED else ''}{number(fact) / one:g}"


def _chip_page(entry: CatalogChip) -> Page:
    chip = entry.chip
    facts = plain_table("fact", "value", "kind", "source", "note")
    for fact in entry.facts.values():
        cited = ", ".join(fact.sources) or "the file"
        facts.add_row(fact.field, escape(_as_text(fact)), fact.kind, cited, escape(fact.note))
    sources = plain_table("source", "reference", "of", "trust", "licence")
    for source in entry.sources.values():
        texts = (source.key, source.text, source.title, source.trust, source.licence)
        sources.add_row(*map(escape, texts))
    return (
        f"[bold]{escape(chip.name)}[/]  {escape(f'{chip.vendor} {chip.title}, family {chip.family}')}",
        escape("; ".join(filter(None, (f"confidence {entry.confidence}", entry.cross_check)))),
        *_also(entry.aliases),
        "",
        facts,
        *(("", sources) if entry.sources else ()),
        *(("", escape(entry.notes)) if entry.notes else ()),
    )


def _as_text(fact: Fact) -> str:
    return ("yes" if fact.value else "no") if isinstance(fact.value, bool) else str(fact.value)


def _also(aliases: Sequence[str]) -> Page:
    return (escape(f"also {', '.join(aliases)}"),) if aliases else ()


def _chip_json(entry: CatalogChip) -> dict[str, object]:
    """A chip as published (``facts``) and as computed with (``chip``: base units, one direction)."""
    return {"name": entry.chip.name} | asdict(entry)


_ORIGINS = {Origin.VERBATIM: "verbatim", Origin.FROM_MEMORY: "memory", Origin.LOCAL: "file"}


def _models_table(found: Iterable[CatalogModel]) -> Table:
    numbers = ("params", "active", "context")
    table = plain_table("model", *numbers, "weights", "experts", "attention", "origin", right=numbers)
    for entry in found:
        model = entry.model
        table.add_row(
            model.name,
            _billions(model.total_params),
            _billions(model.active_params),
            str(model.max_position_embeddings or "-"),
            model.torch_dtype,
            _experts(model),
            _attention(model),
            _ORIGINS[entry.origin],
        )
    return table


def _billions(params: float | None) -> str:
    return "-" if params is None else f"{params / 1e9:g}"


def _experts(model: ModelSpec) -> str:
    if not model.is_moe:
        return "dense"
    shared = f"+{model.n_shared_experts}" if model.n_shared_experts else ""
    return f"{model.num_experts_per_tok}/{model.num_experts}{shared}"


def _attention(model: ModelSpec) -> str:
    if model.is_mla:
        return "MLA"
    kind = "MHA" if model.num_key_value_heads == model.num_attention_heads else "GQA"
    return f"{kind} {model.num_attention_heads}/{model.num_key_value_heads}"


def _model_page(entry: CatalogModel) -> Page:
    model = entry.model
    fields = plain_table("field", "value")
    for field, value in asdict(model).items():
        if field not in ("name", "total_params", "active_params") and value:
            fields.add_row(field, escape(str(value)))
    total, active = _billions(model.total_params), _billions(model.active_params)
    stated = f"{total} billion, {active} billion a token ({entry.params_source})"
    return (
        f"[bold]{escape(model.name)}[/]",
        escape(f"parameters as published: {stated if model.total_params else 'not stated'}"),
        *_also(entry.aliases),
        "",
        fields,
        "",
        escape(f"configuration: {entry.origin}" + (f"; licence: {entry.licence}" if entry.licence else "")),
        escape(f"source: {entry.source}"),
    )


def _model_json(entry: CatalogModel) -> dict[str, object]:
    return {"name": entry.model.name} | asdict(entry)
