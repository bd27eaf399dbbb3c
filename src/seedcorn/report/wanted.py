"""Measurements worth making, for people: what each would free, and the command that makes it."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.wanted import Wanted
from seedcorn.domain.workload import EngineSettings
from seedcorn.report.tables import Page, plain_table

SHOWN = 10
"""Measurements on a page."""

SERVER, VERSION = "http://SERVER:8000", "VERSION"
"""What only the person at the server knows."""


def wanted_page(found: Sequence[Wanted], reference: PoolName) -> Page:
    """A line per measurement, the most valuable first, then how to make each."""
    if not found:
        return [
            "No measurement would free a chip: what the plan rests on is measured, or its doubts cost nothing."
        ]
    table = plain_table(
        "",
        "model",
        "dtype",
        "chip",
        "spread",
        "evidence",
        "step time",
        "frees",
        "chips",
        "would save",
        "services",
        right=("", "step time", "frees", "chips", "would save"),
        title=f"Measurements worth making ({reference} chip-hours an hour, at the plan's prices)",
    )
    for place, one in enumerate(found[:SHOWN], start=1):
        table.add_row(
            str(place),
            one.subject.model,
            one.subject.dtype,
            one.subject.chip,
            str(one.subject.parallelism),
            one.evidence,
            f"up to +{one.doubt_share:.0%}",
            f"{one.frees:,.2f}",
            f"{one.chips:,}",
            f"{one.would_save:,.2f}",
            ", ".join(one.services),
        )
    more = len(found) - SHOWN
    return [
        table,
        *([f"and {more:,} that are worth less: --json lists all"] if more > 0 else []),
        "",
        "frees: what the plan's own replicas of this kind stand by for; would save: what services would save on it if "
        "steps take as long as predicted. Each measurement by itself.",
        f"How to make them ({SERVER}: a server with one such replica; {VERSION}: its engine's):",
        *(
            part
            for place, one in enumerate(found[:SHOWN], start=1)
            for part in ("", f"# {place}", " \\\n  ".join(_command_lines(one)))
        ),
    ]


def wanted_document(found: Sequence[Wanted], reference: PoolName) -> dict[str, object]:
    """The same for programs."""
    return {
        "seedcorn": 1,
        "kind": "evidence-wanted",
        "reference_pool": reference,
        "wanted": [
            asdict(one)
            | {"worth": one.worth, "doubt_share": one.doubt_share, "command": measure_command(one)}
            for one in found
        ],
    }


def measure_command(one: Wanted) -> str:
    """The command line that makes the measurement."""
    return " ".join(_command_lines(one))


def _command_lines(one: Wanted) -> tuple[str, ...]:
    """The command in parts that fit a terminal."""
    subject, settings, default = one.subject, one.settings, EngineSettings()
    spread = subject.parallelism
    replica = {
        "--model": subject.model,
        "--chip": subject.chip,
        "--dtype": subject.dtype,
        "--tp": spread.tp,
        "--pp": _unless(spread.pp, 1),
        "--ep": _unless(spread.ep, 1),
    }
    engine = {
        "--engine": subject.engine,
        "--engine-version": VERSION,
        "--max-num-seqs": _unless(settings.max_num_seqs, default.max_num_seqs),
        "--max-num-batched-tokens": _unless(settings.max_num_batched_tokens, default.max_num_batched_tokens),
    }
    load = {"--input": one.input_tokens, "--output": one.output_tokens}
    return f"seedcorn evidence measure {SERVER}", _options(replica), _options(engine), _options(load)


def _options(values: Mapping[str, object]) -> str:
    return " ".join(
        f"{name} {shlex.quote(str(value))}" for name, value in values.items() if value is not None
    )


def _unless(value: int, default: int) -> int | None:
    return None if value == default else value
