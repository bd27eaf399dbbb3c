"""What a scenario asks a plan to withstand, and what a plan says of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from seedcorn.domain.robustness import LoadCase, Trial
from seedcorn.wire._fields import Document, Name
from seedcorn.wire._reading import Problem, did_you_mean
from seedcorn.wire._text import Step
from seedcorn.wire.outcome import OutcomeFields, outcome_fields, outcome_from


class LoadCaseDocument(Document):
    """Another forecast that may come true."""

    name: Name = Field(description="Unique among scenarios.")
    load: Mapping[str, Annotated[float, Field(gt=0)]] = Field(
        min_length=1,
        description="Service: its mean rate against `traffic`; `1.2` is a fifth more. Services left out are as expected.",
    )

    @property
    def case(self) -> LoadCase:
        """As the study takes it."""
        return LoadCase(name=self.name, load=dict(self.load))


class TrialDocument(Document):
    """The service replayed on what it has in the plan, under something the plan must withstand."""

    case: str = Field(description="One of `planning.scenarios`, or `node loss`.")
    lost: int = Field(ge=0, description="Replicas that the case takes away.")
    slos_held: bool = Field(description="Whether every objective held.")
    outcome: OutcomeFields | None = Field(
        description="What the replay found; `null`: nothing was left to serve some of the traffic."
    )
    slot: int = Field(
        default=0, ge=0, description="Slot of the day: the first in which it does not hold, if any."
    )


def case_problems(
    steps: tuple[Step, ...], cases: Sequence[LoadCaseDocument], services: Sequence[str]
) -> Iterator[Problem]:
    """Services of load cases that are none."""
    for i, case in enumerate(cases):
        for name in case.load:
            if name not in services:
                message = f"no service {name!r} in the scenario{did_you_mean(name, list(services))}"
                yield Problem((*steps, i, "load", name), message, at_key=True)


def trial_document(trial: Trial) -> TrialDocument:
    """As plans hold it."""
    return TrialDocument(
        case=trial.case,
        lost=trial.lost,
        slos_held=trial.slos_held,
        outcome=None if trial.outcome is None else outcome_fields(trial.outcome),
        slot=trial.slot,
    )


def trial_from(document: TrialDocument) -> Trial:
    """As the study takes it."""
    return Trial(
        case=document.case,
        lost=document.lost,
        slos_held=document.slos_held,
        outcome=None if document.outcome is None else outcome_from(document.outcome),
        slot=document.slot,
    )
