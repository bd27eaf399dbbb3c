"""Any tool's report to a measurement: what it does not say is asked for, by option, and never guessed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar

from seedcorn.catalog import find_chip, find_model
from seedcorn.domain.hardware import Dtype
from seedcorn.domain.measurement import EvidenceKey, Measurement
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.workload import EngineSettings
from seedcorn.errors import InputError
from seedcorn.evidence.formats import aiperf, guidellm, inference_perf, vllm_bench, vllm_log
from seedcorn.evidence.found import Driver, Found
from seedcorn.evidence.report import Report, read_report

T = TypeVar("T")


class Reader(Protocol):
    """Reads the reports of one tool."""

    TOOL: str

    def knows(self, report: Report) -> bool:
        """Whether this is one of them."""

    def read(self, report: Report, asked: Driver) -> Found:
        """What it says."""


READERS: tuple[Reader, ...] = (vllm_bench, aiperf, guidellm, inference_perf)
"""One module for each tool that writes a JSON object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the user says of a measurement; ``None``: the report says it.

    Attributes:
        model, chip: Names in the catalogue.
        driver: What drove the load.
    """

    model: str | None = None
    chip: str | None = None
    dtype: Dtype | None = None
    engine: str | None = None
    engine_version: str | None = None
    tp: int | None = None
    pp: int | None = None
    ep: int | None = None
    replicas: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    kv_tokens: int | None = None
    driver: Driver = field(default_factory=Driver)


def read_measurement(path: Path, given: Given) -> Measurement:
    """The measurement in the report at ``path``.

    Raises:
        InputError: It is no report that we know, its numbers are wrong or contradict each other, or it
            does not say something that the options do not say either.
        UnknownName: A model or chip is not in the catalogue.
    """
    return measurement_of(_found(path, given), given, path.name)


def _found(path: Path, given: Given) -> Found:
    if path.is_dir():
        path = path / "requests.jsonl"
    if path.suffix == ".jsonl":
        return vllm_log.read(path)
    report = read_report(path)
    for reader in READERS:
        if reader.knows(report):
            return reader.read(Report(report.data, path.name), given.driver)
    tools = ", ".join([reader.TOOL for reader in READERS] + [vllm_log.TOOL])
    raise InputError(f"{path} is no report that seedcorn reads: {tools}")


def measurement_of(found: Found, given: Given, name: str) -> Measurement:
    """What was found, made complete by what is given; the user's word on names counts for more."""
    model = find_model(_either(given.model, found.model, lambda: _ask(name, "model"))).model
    chip = find_chip(_either(given.chip, found.chip, lambda: _ask(name, "chip"))).chip
    return Measurement(
        key=EvidenceKey(
            model=model.name,
            dtype=_either(given.dtype, found.dtype, lambda: _ask(name, "dtype")),
            chip=chip.name,
            engine=_either(given.engine, found.engine, lambda: _ask(name, "engine")),
            engine_version=_either(
                given.engine_version, found.engine_version, lambda: _ask(name, "engine-version")
            ),
            parallelism=_parallelism(given, found, name),
        ),
        replicas=given.replicas or found.replicas or 1,
        engine=_engine(given, found, name),
        kv_tokens=given.kv_tokens or found.kv_tokens,
        points=found.points,
        log=found.log,
        source=f"{found.tool}: {name}",
    )


def _engine(given: Given, found: Found, name: str) -> EngineSettings:
    """The limits; vLLM's defaults where nobody says."""
    default = EngineSettings()
    engine = EngineSettings(
        max_num_seqs=given.max_num_seqs or found.max_num_seqs or default.max_num_seqs,
        max_num_batched_tokens=given.max_num_batched_tokens
        or found.max_num_batched_tokens
        or default.max_num_batched_tokens,
        gpu_memory_utilization=found.gpu_memory_utilization or default.gpu_memory_utilization,
    )
    if engine.max_num_batched_tokens < engine.max_num_seqs:
        raise InputError(
            f"{name}: max_num_batched_tokens {engine.max_num_batched_tokens:,} is less than max_num_seqs "
            f"{engine.max_num_seqs:,}, which no engine runs: give both as the server ran"
        )
    return engine


def _parallelism(given: Given, found: Found, name: str) -> Parallelism:
    if given.tp is None and found.parallelism is not None:
        return found.parallelism
    if given.tp is None:
        _ask(name, "tp")
    return Parallelism(tp=given.tp, pp=given.pp or 1, ep=given.ep or 1)


def _either(given: T | None, found: T | None, ask: Callable[[], NoReturn]) -> T:
    if given is not None:
        return given
    return found if found is not None else ask()


def _ask(name: str, option: str) -> NoReturn:
    raise InputError(f"{name} does not say its {option.replace('-', ' ')}: give --{option}")
