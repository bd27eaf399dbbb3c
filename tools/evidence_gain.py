"""How much a few measurements of one's own gain, on published benchmarks: prints a table.

    python tools/evidence_gain.py

Every set of rows of one chip, model, format, engine version and layout plays a user's server: ten of its rows,
spread evenly, are its evidence, the rest judges. Both sides go through the product's own path
(``study.evidence.best_step_model``, closed loops of requests of mean length), whatever the engine was.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from published import vetted
from seedcorn.domain.measurement import BenchmarkPoint, EvidenceKey, Measurement
from seedcorn.domain.workload import EngineSettings, Statistic
from seedcorn.errors import SeedcornError
from seedcorn.perf import StepModel
from seedcorn.replay import closed_loop
from seedcorn.study.accuracy.serving_rows import Case
from seedcorn.study.evidence import best_step_model

GIVEN = (1, 3, 10)
FEWEST = 16
"""Rows of a set, so that six at least are left to judge."""


MOST_BATCHED_TOKENS = 65_536
"""Beyond, an engine computed whole batches of prompts in one step, which the product has no memory model for."""


def servers() -> Iterator[list[Case]]:
    """Sets of closed-loop rows that one server could have produced."""
    sets = defaultdict(list)
    for case in vetted()[0]:
        chunked = case.max_num_batched_tokens <= MOST_BATCHED_TOKENS
        if chunked and case.load.clients and {"ttft", "tpot"} <= set(case.observed):
            sets[(*case.group, case.parallelism, case.load.num_requests == case.load.clients)].append(case)
    yield from (cases for cases in sets.values() if len(cases) >= FEWEST)


def measurement(cases: Sequence[Case]) -> Measurement:
    """The rows as evidence."""
    first = cases[0]
    return Measurement(
        key=EvidenceKey(
            model=first.model.name,
            dtype=first.dtype,
            chip=first.chip.name,
            engine="vllm",
            engine_version="0",
            parallelism=first.parallelism,
        ),
        replicas=1,
        engine=settings(first),
        kv_tokens=None,
        points=tuple(
            BenchmarkPoint(
                input_tokens=case.input_tokens,
                output_tokens=case.output_tokens,
                num_requests=case.load.num_requests,
                concurrency=case.load.clients,
                rate_per_s=None,
                evenly_spaced=False,
                ttft_s={Statistic.MEAN: case.observed["ttft"]},
                tpot_s={Statistic.MEAN: case.observed["tpot"]},
            )
            for case in cases
        ),
        log=None,
        source=first.source,
    )


def settings(case: Case) -> EngineSettings:
    """The engine's limits as the row's reader knows them."""
    return EngineSettings(max_num_seqs=case.max_num_seqs, max_num_batched_tokens=case.max_num_batched_tokens)


def step(case: Case, *evidence: Measurement) -> StepModel:
    """The product's step model."""
    return best_step_model(
        case.model,
        case.chip,
        dtype=case.dtype,
        parallelism=case.parallelism,
        engine=settings(case),
        chips_per_node=max(8, case.parallelism.tp),
        measurements=evidence,
    )


def errors(model: StepModel, cases: Sequence[Case]) -> list[tuple[float, float, float]]:
    """|ln(predicted / observed)| of TTFT, TPOT and end-to-end latency, per row."""
    found = []
    for case in cases:
        count = case.load.num_requests
        outcome = closed_loop(
            [model],
            settings(case),
            concurrency=case.load.clients,
            input_tokens=np.full(count, round(case.input_tokens), dtype=np.int32),
            output_tokens=np.full(count, round(case.output_tokens), dtype=np.int32),
        )
        ttft, tpot = case.observed["ttft"], case.observed["tpot"]
        e2e = ttft + tpot * (case.output_tokens - 1)
        pairs = ((outcome.ttft.mean_s, ttft), (outcome.tpot.mean_s, tpot), (outcome.e2e.mean_s, e2e))
        found.append(tuple(abs(float(np.log(got / seen))) for got, seen in pairs if got > 0))
    return [row for row in found if len(row) == 3]  # a single token has no TPOT


def main() -> None:
    """Print median errors by chip, after so many of the user's own rows."""
    by_chip: dict[str, dict[int, list[tuple[float, float, float]]]] = defaultdict(lambda: defaultdict(list))
    num_sets = 0
    for cases in servers():
        order = np.random.default_rng(0).permutation(len(cases))
        given, judged = [cases[i] for i in order[: max(GIVEN)]], [cases[i] for i in order[max(GIVEN) :]]
        try:
            for count in (0, *GIVEN):
                model = step(cases[0], *([measurement(given[:count])] if count else []))
                by_chip[cases[0].chip.name][count] += errors(model, judged)
        except SeedcornError as error:
            print(f"left out: {cases[0].group}: {error}")
            continue
        num_sets += 1
    print(f"\n{num_sets} sets; median of |predicted / observed - 1|, TTFT / TPOT / end to end\n")
    print("| chip | rows judged |" + "".join(f" {n} given |" for n in (0, *GIVEN)))
    print("|---|---|" + "---|" * (1 + len(GIVEN)))
    for chip, rows in sorted(by_chip.items()):
        cells = [
            " / ".join(f"{np.expm1(m):.1%}" for m in np.median(found, axis=0)) for found in rows.values()
        ]
        print(f"| {chip} | {len(rows[0])} | {' | '.join(cells)} |")
    means = [np.mean([np.median(rows[n], axis=0) for rows in by_chip.values()], axis=0) for n in (0, *GIVEN)]
    print(
        "| **mean over chips** | | "
        + " | ".join(" / ".join(f"{np.expm1(m):.1%}" for m in row) for row in means)
        + " |"
    )


if __name__ == "__main__":
    main()
