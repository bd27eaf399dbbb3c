"""``seedcorn evidence``: import what was measured, measure a live server, list what there is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seedcorn.cli.output import print_page
from seedcorn.domain.hardware import Dtype

if TYPE_CHECKING:
    from seedcorn.domain.measurement import Measurement

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Store = Annotated[
    Path | None,
    typer.Option(
        "--store",
        envvar="SEEDCORN_EVIDENCE",
        help="Folder that evidence is kept in; default: the user's data folder.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    evidence = typer.Typer(
        name="evidence",
        help="Measurements of real servers, which replace predictions where they speak of the same thing.",
        no_args_is_help=True,
    )
    evidence.command("import")(import_report)
    evidence.command("list")(list_kept)
    app.add_typer(evidence)


def store_folder(store: Path | None) -> Path:
    """The folder given, or the user's own."""
    from platformdirs import user_data_path

    return store if store is not None else user_data_path("seedcorn") / "evidence"


def kept_measurements(store: Path | None) -> "tuple[Measurement, ...]":
    """Everything in the store."""
    from seedcorn.evidence import kept

    return tuple(measurement for _, measurement in kept(store_folder(store)))


def import_report(
    file: Annotated[
        Path,
        typer.Argument(
            help="A result of vllm bench serve, aiperf, guidellm or inference-perf (JSON), or a folder with a "
            "requests.jsonl and a meta.json.",
        ),
    ],
    model: Annotated[str | None, typer.Option(help="The model, if the report does not name it.")] = None,
    chip: Annotated[str | None, typer.Option(help="The chip it ran on.")] = None,
    dtype: Annotated[Dtype | None, typer.Option(help="Number format of the weights.")] = None,
    engine: Annotated[str | None, typer.Option(help="The engine, such as vllm.")] = None,
    engine_version: Annotated[str | None, typer.Option(help="Its version, such as 0.19.0.")] = None,
    tp: Annotated[int | None, typer.Option(min=1, help="Tensor parallelism of a replica.")] = None,
    pp: Annotated[int | None, typer.Option(min=1, help="Pipeline stages of a replica.")] = None,
    ep: Annotated[int | None, typer.Option(min=1, help="Expert parallelism of a replica.")] = None,
    replicas: Annotated[int, typer.Option(min=1, help="Replicas that shared the load.")] = 1,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Clients, if the report lacks it.")] = None,
    rate: Annotated[float | None, typer.Option(min=1e-9, help="Requests/s, if the report lacks it.")] = None,
    evenly_spaced: Annotated[
        bool, typer.Option("--evenly-spaced", help="With --rate: requests kept one gap; default: Poisson.")
    ] = False,
    max_num_seqs: Annotated[int | None, typer.Option(min=1, help="The engine's limit; default: 256.")] = None,
    max_num_batched_tokens: Annotated[
        int | None, typer.Option(min=1, help="The engine's limit; default: 8192.")
    ] = None,
    kv_tokens: Annotated[
        int | None, typer.Option(min=1, help="KV cache size that the engine logged, in tokens.")
    ] = None,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Keep what a report says. What the report does not say is asked for; importing twice changes nothing."""
    from seedcorn.evidence import Given, read_measurement
    from seedcorn.evidence.found import Driver

    given = Given(
        model=model,
        chip=chip,
        dtype=dtype,
        engine=engine,
        engine_version=engine_version,
        tp=tp,
        pp=pp,
        ep=ep,
        replicas=replicas,
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max_num_batched_tokens,
        kv_tokens=kv_tokens,
        driver=Driver(concurrency=concurrency, rate_per_s=rate, evenly_spaced=evenly_spaced),
    )
    _keep(read_measurement(file, given), store, as_json)


def _keep(measurement: "Measurement", store: Path | None, as_json: bool) -> None:
    """Keep, and say what was kept."""
    from seedcorn.evidence import keep
    from seedcorn.report.evidence import kept_page
    from seedcorn.wire import evidence_json

    path, is_new = keep(measurement, store_folder(store))
    if as_json:
        typer.echo(evidence_json(measurement), nl=False)
    else:
        print_page(kept_page(measurement, path, is_new=is_new))


def list_kept(store: Store = None, as_json: AsJson = False) -> None:
    """List what was measured, a line per measurement."""
    from seedcorn.cli.output import print_json
    from seedcorn.evidence import kept
    from seedcorn.report.evidence import evidence_page, evidence_rows

    folder = store_folder(store)
    found = kept(folder)
    if as_json:
        print_json(
            {"seedcorn": 1, "kind": "evidence-list", "store": str(folder), "evidence": evidence_rows(found)}
        )
    else:
        print_page(evidence_page(found, folder))
