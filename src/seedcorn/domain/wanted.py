"""Measurements worth making: what certainty about one kind of replica would free."""

from dataclasses import dataclass

from seedcorn.domain.hardware import ChipName, Dtype
from seedcorn.domain.model import ModelName
from seedcorn.domain.offer import Evidence, Parallelism
from seedcorn.domain.prediction import times_off
from seedcorn.domain.workload import EngineName, EngineSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What one measurement speaks of: the key that evidence is kept under, without the engine's version."""

    model: ModelName
    dtype: Dtype
    chip: ChipName
    engine: EngineName
    parallelism: Parallelism


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A measurement that is not there, and what it may be worth if steps take as long as predicted.

    Attributes:
        settings: Scheduler limits that the plan's replicas of this kind run with.
        evidence: What is known instead.
        log_sigma: Standard deviation of ln(true / predicted) step time.
        frees: Reference-chip hours an hour that standing by for this doubt costs today's choice.
        would_save: The same that services would save which this doubt keeps elsewhere.
        chips: That ``frees`` is made of, rounded.
        services: Whose replicas these are or would be.
        input_tokens, output_tokens: Means over those services' requests, to measure with.
    """

    subject: Subject
    settings: EngineSettings
    evidence: Evidence
    log_sigma: float
    frees: float
    would_save: float
    chips: int
    services: tuple[str, ...]
    input_tokens: int
    output_tokens: int

    @property
    def worth(self) -> float:
        """Reference-chip hours an hour in all."""
        return self.frees + self.would_save

    @property
    def doubt_share(self) -> float:
        """By how much a step may take longer than predicted, at the end of the 90 % interval."""
        return times_off(self.log_sigma) - 1
