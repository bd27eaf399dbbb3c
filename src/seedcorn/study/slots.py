"""The day in slots: how a service's demand runs over them, and the traffic of each."""

from dataclasses import replace

from seedcorn.domain.workload import Service, Trace
from seedcorn.replay import DAY_S, part
from seedcorn.study.forecast import day_forecast
from seedcorn.units import format_slot

HOURS_A_DAY = 24


def slot_factors(service: Service, slots: int) -> tuple[float, ...]:
    """(slots,) demand over the mean rate: that of the busiest hour which a slot touches, on a middle day.

    One slot and no curve: 1, the whole trace at its mean rate.
    """
    if slots == 1 and service.day is None:
        return (1.0,)
    hourly = day_forecast(service).middle
    return tuple(
        float(hourly[slot * HOURS_A_DAY // slots : -(-(slot + 1) * HOURS_A_DAY // slots)].max())
        for slot in range(slots)
    )


def busiest_slot(service: Service, slots: int) -> int:
    """The slot of the highest demand; the first of several."""
    factors = slot_factors(service, slots)
    return factors.index(max(factors))


def runs_through_days(service: Service) -> bool:
    """Whether the service's demand over the day is that of its own trace, a day long or longer."""
    return service.day is None and bool(service.trace.arrival_s[-1] >= DAY_S)


def slot_trace(service: Service, slot: int, slots: int) -> Trace:
    """Requests that come in the slot: of every day, one after the other, where the trace runs through days;
    all of them where it does not, for then it shows what any hour looks like."""
    trace = service.trace
    if slots == 1 or not runs_through_days(service):
        return trace
    length_s = DAY_S / slots
    day, at_s = trace.arrival_s // DAY_S, trace.arrival_s % DAY_S
    mine = (at_s >= slot * length_s) & (at_s < (slot + 1) * length_s)
    arrival_s = day * length_s + at_s - slot * length_s
    return part(replace(trace, arrival_s=arrival_s), mine)


def slot_name(slot: int, slots: int) -> str:
    """As people say it: ``08:00-09:00``."""
    return f"{format_slot(slot, slots)}-{format_slot(slot + 1, slots)}"
