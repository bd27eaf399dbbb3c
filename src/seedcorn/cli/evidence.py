"""``seedcorn evidence``: import what was measured, measure a live server, list what there is."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seedcorn.cli.output import note_compilation, print_json, print_page, progress_shown, warn
from seedcorn.domain.hardware import Dtype
from seedcorn.errors import InputError
from seedcorn.units import seconds

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
    evidence.command("measure")(measure_server)
    evidence.command("list")(list_kept)
    evidence.command("wanted")(list_wanted)
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
    replicas: Annotated[
        int | None,
        typer.Option(min=1, help="Replicas that shared the load; default: 1, or as the report says."),
    ] = None,
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


def measure_server(
    url: Annotated[str, typer.Argument(help="An OpenAI-compatible server, such as http://localhost:8000.")],
    model: Annotated[str, typer.Option(help="The model, as the catalogue names it.")],
    chip: Annotated[str, typer.Option(help="The chip it runs on.")],
    dtype: Annotated[Dtype, typer.Option(help="Number format of the weights.")],
    engine_version: Annotated[str, typer.Option(help="The engine's version, such as 0.19.0.")],
    engine: Annotated[str, typer.Option(help="The engine.")] = "vllm",
    tp: Annotated[int, typer.Option(min=1, help="Tensor parallelism of a replica.")] = 1,
    pp: Annotated[int, typer.Option(min=1, help="Pipeline stages of a replica.")] = 1,
    ep: Annotated[int, typer.Option(min=1, help="Expert parallelism of a replica.")] = 1,
    replicas: Annotated[int, typer.Option(min=1, help="Replicas behind the URL.")] = 1,
    max_num_seqs: Annotated[int | None, typer.Option(min=1, help="The engine's limit; default: 256.")] = None,
    max_num_batched_tokens: Annotated[
        int | None, typer.Option(min=1, help="The engine's limit; default: 8192.")
    ] = None,
    kv_tokens: Annotated[
        int | None, typer.Option(min=1, help="KV cache size that the engine logged, in tokens.")
    ] = None,
    concurrency: Annotated[
        list[int] | None,
        typer.Option(min=1, max=1024, help="Clients; again for another benchmark; default: 1, 8, 32."),
    ] = None,
    requests_per_client: Annotated[int, typer.Option(min=1, max=1000, help="Requests of each client.")] = 5,
    input_tokens: Annotated[int, typer.Option("--input", min=1, max=10**6, help="Prompt tokens.")] = 1024,
    output_tokens: Annotated[int, typer.Option("--output", min=2, max=10**5, help="Output tokens.")] = 128,
    served_model: Annotated[
        str | None, typer.Option(help="Name the server knows the model by; default: the only one it lists.")
    ] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the key, if one is needed.")
    ] = None,
    timeout: Annotated[str, typer.Option(help="Longest silence of the server.")] = "60 s",
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Measure a live server with streamed closed loops, and keep the result; a failure keeps nothing."""
    from seedcorn.catalog import find_chip, find_model
    from seedcorn.evidence import Given
    from seedcorn.evidence.importing import measurement_of
    from seedcorn.evidence.live import Plan, Server, measure

    timeout_s = seconds(timeout)
    if timeout_s <= 0:
        raise InputError(f"--timeout: expected a duration above 0, got {timeout!r}")
    server = Server(url=url, model=served_model, api_key=_key(api_key_env), timeout_s=timeout_s)
    plan = Plan(
        concurrency=tuple(concurrency or Plan().concurrency),
        requests_per_client=requests_per_client,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )
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
    )
    find_model(model), find_chip(chip)  # a wrong name is told before the server is troubled
    with progress_shown() as progress:
        found = measure(server, plan, progress)
    _keep(measurement_of(found, given, url), store, as_json)


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if variable not in os.environ:
        raise InputError(f"--api-key-env: the environment has no variable {variable!r}")
    return os.environ[variable]


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


def list_wanted(
    file: Annotated[Path, typer.Argument(help="A scenario.yaml, which is planned first, or a plan.json.")],
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Rank the measurements worth making by what certainty would free, with the command that makes each."""
    from seedcorn.report.wanted import wanted_document, wanted_page
    from seedcorn.study import plan_scenario, resolve, wanted
    from seedcorn.wire import read_plan, read_scenario

    measurements = kept_measurements(store)
    note_compilation()
    with progress_shown() as progress:
        if file.suffix == ".json":
            read = read_plan(file)
            plan, scenario = read.plan, resolve(read.scenario, measurements)
            if scenario.inputs_hash != plan.inputs_hash:
                warn(
                    f"{file}: seedcorn itself, a chip, model, trace or measurement is not what the plan was made from"
                )
        else:
            scenario = resolve(read_scenario(file), measurements)
            plan = plan_scenario(scenario, progress)
        found = wanted(plan, scenario, progress)
    if as_json:
        print_json(wanted_document(found, plan.reference_pool))
    else:
        print_page(wanted_page(found, plan.reference_pool))
