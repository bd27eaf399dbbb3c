"""``seedcorn plan``, ``explain`` and ``replay``: the main job.

Heavy modules are imported inside the commands, so that ``--help`` and the catalogue stay quick.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seedcorn.cli.evidence import Store, kept_measurements
from seedcorn.cli.output import note_compilation, print_page, progress_shown, warn
from seedcorn.cli.workers import Ray, workers_at
from seedcorn.domain.hardware import Dtype, PoolName
from seedcorn.domain.workload import EngineSettings, Router
from seedcorn.errors import InputError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seedcorn.domain.fault import FaultRates
    from seedcorn.domain.measurement import Measurement
    from seedcorn.domain.plan import Plan
    from seedcorn.domain.scenario import Scenario
    from seedcorn.wire import Located, PlanFile, ScenarioDocument

AsJson = Annotated[bool, typer.Option("--json", help="Print the document instead of tables.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write the plan here.")]
_ENGINE = EngineSettings()
_WITH_A_PLAN = ("plan", "load", "store", "ray", "as_json", "faults", "mtbf", "mttr")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("plan")(plan)
    app.command("explain")(explain)
    app.command("replay")(replay)


def plan(
    scenario: Annotated[
        Path, typer.Argument(help="A scenario.yaml, or the name of a bundled one: mixed-fleet.")
    ],
    out: Out = None,
    store: Store = None,
    ray: Ray = None,
    as_json: AsJson = False,
) -> None:
    """Plan: which services leave the scarce chips, where they go, what that frees; proved by replay.

    Exits 1 if the fleet cannot carry the scenario or the replay missed an SLO.
    """
    from seedcorn.wire import read_scenario

    _planned(read_scenario(scenario), out, as_json, kept_measurements(store), ray)


def explain(
    plan: Annotated[Path, typer.Argument(help="A plan.json.")],
    service: Annotated[str | None, typer.Argument(help="A service of the plan.")] = None,
    pool: Annotated[str | None, typer.Option(help="A pool: what one more node of it would free.")] = None,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Why a service goes where it goes: what every other offer would cost, and why the rest is none. Or, of a
    pool, what one more node would free: the market is cleared anew with it and without."""
    if (service is None) == (pool is None):
        raise InputError("give a service, or a pool as --pool NAME: one of the two")
    if pool is not None:
        _explain_pool(plan, pool, store, as_json)
    elif service is not None:
        _explain_service(plan, service, as_json)


def _explain_service(path: Path, service: str, as_json: bool) -> None:
    from seedcorn.report.plan import explain_page
    from seedcorn.wire import read_plan, service_json

    found = read_plan(path).plan
    for explained in found.services:
        if explained.service == service:
            if as_json:
                typer.echo(service_json(explained), nl=False)
            else:
                print_page(explain_page(found, explained))
            return
    raise UnknownName("service", service, [s.service for s in found.services], where=str(path))


def _explain_pool(path: Path, pool: str, store: Path | None, as_json: bool) -> None:
    from seedcorn.report.worth import node_worth_page
    from seedcorn.study import node_worth
    from seedcorn.wire import node_worth_json, read_plan

    file = read_plan(path)
    scenario = _resolved(path, file, store)
    with progress_shown() as progress:
        worth = node_worth(file.plan, scenario, PoolName(pool), progress)
    if as_json:
        typer.echo(node_worth_json(worth), nl=False)
    else:
        print_page(node_worth_page(file.plan, worth))


def _resolved(path: Path, file: "PlanFile", store: Path | None) -> "Scenario":
    """The plan's scenario; warns where it is not what the plan was made from."""
    from seedcorn.study import resolve

    scenario = resolve(file.scenario, kept_measurements(store))
    if scenario.inputs_hash != file.plan.inputs_hash:
        warn(
            f"{path}: seedcorn itself, a chip, model, trace or measurement is not what the plan was made from"
        )
    return scenario


def _planned(
    located: "Located[ScenarioDocument]",
    out: Path | None,
    as_json: bool,
    measurements: "Sequence[Measurement]" = (),
    ray: str | None = None,
) -> None:
    """Plan, write, print; exit 1 when an SLO was missed."""
    from seedcorn.report.plan import plan_page
    from seedcorn.study import plan_scenario, resolve
    from seedcorn.wire import check_writable, plan_json, write_text_atomically

    for path, why in located.document.not_used_yet():
        warn(f"{path}: {why}")
    for path, what in located.document.warnings():
        warn(f"{path}: {what}")
    if out is not None:
        check_writable(out)
    note_compilation()
    with workers_at(ray) as workers, progress_shown() as progress:
        made = plan_scenario(resolve(located, measurements), progress, workers)
    made = replace(made, defaults=located.document.defaults_used())
    if out is not None:
        write_text_atomically(out, plan_json(made, located, folder=out.parent))
    if as_json:
        typer.echo(plan_json(made, located, folder=Path()), nl=False)
    else:
        print_page(plan_page(made))
    _end(made)


def _end(made: "Plan") -> None:
    for warning in made.warnings:
        warn(warning)
    if made.slos_held is False:
        raise typer.Exit(1)


def _check_nothing_else_given(ctx: typer.Context, allowed: "Sequence[str]") -> None:
    """A plan holds its own traces, chips and limits: refuse options that would say otherwise."""
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name or "")
        is_given = source is not None and source.name == "COMMANDLINE"
        if is_given and parameter.name not in allowed:
            raise InputError(
                f"{parameter.opts[0]} goes with --trace, not with a plan.json, which has its own"
            )


def replay(
    ctx: typer.Context,
    plan: Annotated[
        Path | None, typer.Argument(help="A plan.json; none: give --trace, --model, --chip.")
    ] = None,
    trace: Annotated[str | None, typer.Option(help="A bundled trace or a file.")] = None,
    model: Annotated[str | None, typer.Option(help="A model in the catalogue or a config.json.")] = None,
    chip: Annotated[str | None, typer.Option(help="A chip in the catalogue or a file of specs.")] = None,
    tp: Annotated[
        int | None, typer.Option(min=1, help="Tensor parallelism; none: the least that fits.")
    ] = None,
    dtype: Annotated[Dtype | None, typer.Option(help="Number format; none: as published.")] = None,
    replicas: Annotated[int, typer.Option(min=1, help="Replicas behind the router.")] = 1,
    rate: Annotated[
        float | None, typer.Option(min=1e-9, help="Mean requests/s; none: the trace's own.")
    ] = None,
    max_num_seqs: Annotated[int, typer.Option(min=1, help="Sequences per step.")] = _ENGINE.max_num_seqs,
    max_num_batched_tokens: Annotated[
        int, typer.Option(min=1, help="Tokens per step.")
    ] = _ENGINE.max_num_batched_tokens,
    router: Annotated[
        Router, typer.Option(help="How requests are spread over replicas.")
    ] = Router.ROUND_ROBIN,
    seed: Annotated[int, typer.Option(min=0, help="Of the rate scaling; of failures, with --mtbf.")] = 0,
    load: Annotated[
        float | None,
        typer.Option(
            min=1e-9, help="With a plan: replay this times the mean rates; none: the rates planned for."
        ),
    ] = None,
    faults: Annotated[
        Path | None,
        typer.Option(help="With a plan: a CSV of nodes that are lost, pool,node,lost_s,back_s."),
    ] = None,
    mtbf: Annotated[
        str | None,
        typer.Option(help="With a plan: mean time between failures of a node, such as 30d."),
    ] = None,
    mttr: Annotated[
        str | None, typer.Option(help="With --mtbf: mean time until a failed node serves again.")
    ] = None,
    store: Store = None,
    ray: Ray = None,
    as_json: AsJson = False,
) -> None:
    """Replay a whole plan (exits 1 when an SLO is missed), or one trace on one kind of replica."""
    single = {"--trace": trace, "--model": model, "--chip": chip}
    if plan is not None:
        _check_nothing_else_given(ctx, _WITH_A_PLAN if mtbf is None else (*_WITH_A_PLAN, "seed"))
        _replay_plan(plan, store, as_json, ray, load, faults, _fault_rates(mtbf, mttr, seed))
        return
    if load is not None:
        raise InputError("--load goes with a plan.json: give a single trace its --rate")
    if faults is not None or mtbf is not None or mttr is not None:
        raise InputError("--faults, --mtbf and --mttr go with a plan.json: they speak of its nodes")
    if ray is not None:
        raise InputError("--ray goes with a plan.json: a single trace is replayed here")
    missing = [name for name, value in single.items() if value is None]
    if missing:
        raise InputError(
            f"give a plan.json, or all of --trace, --model, --chip; missing: {', '.join(missing)}"
        )
    assert trace is not None and model is not None and chip is not None  # none is missing
    engine = EngineSettings(max_num_seqs=max_num_seqs, max_num_batched_tokens=max_num_batched_tokens)
    _replay_single(
        as_json,
        trace=trace,
        model=model,
        chip=chip,
        tp=tp,
        dtype=dtype,
        replicas=replicas,
        rate_per_s=rate,
        engine=engine,
        router=router,
        seed=seed,
        store=store,
    )


def _fault_rates(mtbf: str | None, mttr: str | None, seed: int) -> "FaultRates | None":
    """How nodes fail; ``None``: they do not."""
    from seedcorn.domain.fault import FaultRates
    from seedcorn.units import seconds

    if mtbf is None and mttr is None:
        return None
    if mtbf is None or mttr is None:
        raise InputError("--mtbf and --mttr go together: how often a node fails, and for how long")
    rates = FaultRates(mtbf_s=seconds(mtbf), mttr_s=seconds(mttr), seed=seed)
    if not (rates.mtbf_s > 0 and rates.mttr_s > 0):
        raise InputError(f"--mtbf and --mttr must be above 0, got {mtbf} and {mttr}")
    return rates


def _replay_plan(
    path: Path,
    store: Path | None,
    as_json: bool,
    ray: str | None,
    load: float | None,
    faults: Path | None,
    rates: "FaultRates | None",
) -> None:
    """Replay every service of a plan; exit 1 when an SLO was missed."""
    from seedcorn.report.day import replays
    from seedcorn.report.plan import replayed_page
    from seedcorn.study import pools_replayed, replay_plan
    from seedcorn.wire import outcome_json, read_faults, read_plan

    if faults is not None and rates is not None:
        raise InputError("give --faults or --mtbf, not both: outages listed, or drawn")
    file = read_plan(path)
    scenario = _resolved(path, file, store)
    outages = () if faults is None else read_faults(faults, [pool.name for pool in scenario.pools])
    note_compilation()
    with workers_at(ray) as workers, progress_shown() as progress:
        replayed = replay_plan(file.plan, scenario, progress, workers, load=load, faults=rates or outages)
    pools = pools_replayed(replayed)
    if as_json:
        outcomes = {
            name: (outcome, scenario.service(service.service).slo)
            for service, name, outcome in replays(replayed)
        }
        typer.echo(outcome_json(replayed.name, outcomes, pools), nl=False)
    else:
        print_page(replayed_page(replayed, pools))
    _end(replayed)


def _replay_single(
    as_json: bool,
    *,
    trace: str,
    model: str,
    chip: str,
    tp: int | None,
    dtype: Dtype | None,
    replicas: int,
    rate_per_s: float | None,
    engine: EngineSettings,
    router: Router,
    seed: int,
    store: Path | None,
) -> None:
    """Replay one trace on one kind of replica."""
    from seedcorn.report.outcome import single_page
    from seedcorn.study import replay_single
    from seedcorn.wire import outcome_json

    note_compilation()
    replayed = replay_single(
        trace=trace,
        model=model,
        chip=chip,
        tp=tp,
        dtype=dtype,
        replicas=replicas,
        rate_per_s=rate_per_s,
        engine=engine,
        router=router,
        seed=seed,
        measurements=kept_measurements(store),
    )
    if as_json:
        typer.echo(outcome_json(replayed.name, {replayed.name: (replayed.outcome, None)}), nl=False)
    else:
        print_page(single_page(replayed))
