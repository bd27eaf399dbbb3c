"""How a training job is interrupted, and what it follows, as documents write it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from seedcorn.domain.workload import Interruptions
from seedcorn.wire._fields import Absent, Document, Seconds
from seedcorn.wire._reading import Problem, did_you_mean

_USUAL = Interruptions()
_Span = Annotated[Seconds, Field(gt=0)]


class CheckpointDocument(Document):
    """When training is saved, and what that costs."""

    every: Annotated[_Span | None, Absent("the interval that loses the least time")] = Field(
        default=None, description="Time between checkpoints."
    )
    takes: _Span = Field(
        default=_USUAL.checkpoint_s,
        description="Time that saving one stalls training.",
        json_schema_extra={"default": "10 s"},
    )


class RestartDocument(Document):
    """How often training fails, and what that costs beside the work since the last checkpoint."""

    takes: _Span = Field(
        default=_USUAL.restart_s,
        description="Time from a failure until training goes on.",
        json_schema_extra={"default": "15 min"},
    )
    mtbf: Annotated[_Span, Absent("that of Llama 3's run, some 67 months")] = Field(
        default=_USUAL.chip_mtbf_s,
        description="Mean time between failures of one chip: a gang of n fails n times as often.",
        json_schema_extra={"default": "2111 d"},
    )


def interruptions(checkpoint: CheckpointDocument, restart: RestartDocument) -> Interruptions:
    """Both as the training model takes them."""
    return Interruptions(
        checkpoint_every_s=checkpoint.every,
        checkpoint_s=checkpoint.takes,
        restart_s=restart.takes,
        chip_mtbf_s=restart.mtbf,
    )


@dataclass(frozen=True, slots=True)
class Sequenced:
    """A job as far as sequences go: what it comes after, and whether it ends."""

    name: str
    after: str | None
    ends: bool


def sequence_problems(key: str, jobs: Sequence[Sequenced], *, amount: str) -> Iterator[Problem]:
    """What is wrong with the jobs at ``key``, which come in lines: one follows one, and each but the last ends.

    Args:
        amount: The key that says when a job ends.
    """
    named = {job.name: job for job in jobs}
    followed: dict[str, str] = {}
    for i, job in enumerate(jobs):
        if job.after is None:
            continue
        place, before = (key, i, "after"), named.get(job.after)
        if before is None:
            yield Problem(place, f"no job {job.after!r} in {key}{did_you_mean(job.after, list(named))}")
        elif not before.ends:
            yield Problem(place, f"job {job.after!r} never ends: give it {amount!r}")
        elif job.after in followed:
            message = f"job {followed[job.after]!r} follows {job.after!r} already: one gang trains one job at a time"
            yield Problem(place, message)
        elif _comes_after_itself(job.name, named):
            yield Problem(place, f"job {job.name!r} comes after itself")
        followed.setdefault(job.after, job.name)


def _comes_after_itself(name: str, named: Mapping[str, Sequenced]) -> bool:
    at = named[name].after
    for _ in named:
        if at is None or at == name:
            break
        at = named[at].after if at in named else None
    return at == name
