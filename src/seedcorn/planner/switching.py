"""Best responses of services whose replicas cost something to start, compiled: replicas for every slot of a day.

    min Σ_t p_t·n_t + Σ_lt c_l·(n_lt − n_l,t−1)⁺    every slot's load carried, n integer, slot 0 after the last

A start price μ_lt between 0 and c_l replaces the starts: Σ_t min (p_t + μ_t − μ_t+1)·n_t is a lower bound
for every μ, and each slot answers on its own, exactly, by the searches of ``responses``. Subgradient steps
of Polyak's length raise it. For one kind of replica the bound meets the best (the matrix is a network's);
for several it may fall short of it, and both are returned.

The answer is made of what slots answered on the way: holding a replica through a trough where that is
cheaper than starting it again, then the cheapest way round the day through all that was seen.
"""

import numpy as np
from numpy.typing import NDArray

from seedcorn.jit import allocating
from seedcorn.planner.problem import Floats, Ints
from seedcorn.planner.responses import cover, split

_STEPS = 20
"""Subgradient steps of one answer: prices of starts are kept from answer to answer, so that few do."""
_SLOW = 0.05
"""Of Polyak's length: steps are no shorter, however often they failed."""
_PATIENCE = 4
"""Steps that may fail to raise the bound before they are halved."""
_MOMENTUM = 0.5
"""Of the last step in the next (Camerini, Fratta and Maffioli 1975): half the zigzag of plain ones."""
_SEEN = 40
"""Replica counts remembered for the way round the day."""
_EPS = 1e-9


@allocating
def respond_over_days(
    which: Ints,
    price: Floats,
    part_start: Ints,
    offer_start: Ints,
    load_start: Ints,
    load: Floats,
    num_classes: Ints,
    max_replicas: Floats,
    cell_start: Ints,
    cell: Ints,
    start_cost: Floats,
    tolerance: float,
    node_limit: int,
    start_price: Floats,
    step: Floats,
    replicas: Floats,
    value: Floats,
    bound: Floats,
) -> None:
    """Best response of each service in ``which``, in place.

    Args:
        which: (k,) services to answer for, each of several parts.
        price: (num_offers,) price of one replica, ≥ 0.
        part_start, offer_start, load_start, load, num_classes, max_replicas: As in ``Problem``.
        cell_start, cell, start_cost: As in ``Problem``.
        tolerance: Relative distance from the best that will do.
        start_price: (num_cells,) μ, in place: a guess, then the one of the bound.
        step: (num_services,) length of the first step, of Polyak's; in place: of the next answer's.
        replicas: (num_offers,) in place; on entry an answer that carries everything, if one is known, else 0.
        value: (num_services,) price of the answer, starts included; ``inf``: none found.
        bound: (num_services,) no answer is cheaper; ``inf``: there is none.
    """
    for k in range(which.shape[0]):
        s = which[k]
        first, last = part_start[s], part_start[s + 1]
        a, b = offer_start[first], offer_start[last]
        c, d = cell_start[s], cell_start[s + 1]
        value[s], bound[s], step[s] = _respond_over_day(
            price[a:b],
            offer_start[first : last + 1] - a,
            load[load_start[first] : load_start[last]],
            num_classes[first:last],
            max_replicas[a:b],
            cell[a:b] - c,
            start_cost[c:d].reshape(last - first, (d - c) // (last - first)),
            tolerance,
            node_limit,
            start_price[c:d].reshape(last - first, (d - c) // (last - first)),
            step[s],
            replicas[a:b],
        )


@allocating
def _respond_over_day(
    price: Floats,
    offer_start: Ints,
    load: Floats,
    num_classes: Ints,
    most: Floats,
    cell: Ints,
    start_cost: Floats,
    tolerance: float,
    node_limit: int,
    start_price: Floats,
    length: float,
    replicas: Floats,
) -> tuple[float, float, float]:
    """The service's (price, proven bound, length of the next first step); replicas and start prices in place.

    Args:
        cell: (num_offers,) slot · num_lines + line.
        start_cost, start_price: (num_slots, num_lines).
    """
    num_slots, num_lines = start_cost.shape
    mu, running = start_price.copy(), np.empty((num_slots, num_lines))
    answer = replicas.copy()
    reduced = np.empty(price.shape[0])
    seen, num_seen = np.empty((_SEEN, num_lines)), 0
    carries = np.zeros((num_slots, _SEEN), dtype=np.bool_)
    best = np.inf
    if replicas.any():
        _count(replicas, cell, running)
        best = _day_cost(running, price, most, cell, start_cost)
        num_seen = _remember(running, running, seen, num_seen, carries)
    low, failed = -np.inf, 0
    slope = np.zeros((num_slots, num_lines))
    for _ in range(_STEPS):
        _settle_prices(mu, price, most, cell, start_cost)
        total = 0.0
        position = 0
        for t in range(num_slots):
            a, b = offer_start[t], offer_start[t + 1]
            for o in range(a, b):
                after = (cell[o] + num_lines) % (num_slots * num_lines)
                reduced[o] = max(price[o] + mu.flat[cell[o]] - mu.flat[after], 0.0)
            block = load[position : position + (b - a) * num_classes[t]]
            position += (b - a) * num_classes[t]
            if num_classes[t] == 0:
                answer[a:b] = 0.0
            elif num_classes[t] == 1:
                paid, at_least = cover(reduced[a:b], block, most[a:b], tolerance, node_limit, answer[a:b])
                total += at_least
                if not np.isfinite(paid):
                    return np.inf, at_least, length
            else:
                paid, at_least = split(
                    reduced[a:b],
                    block.reshape(b - a, num_classes[t]),
                    most[a:b],
                    tolerance,
                    node_limit,
                    answer[a:b],
                )
                total += at_least
                if not np.isfinite(paid):
                    return np.inf, at_least, length
        if total > low:
            low = total
            start_price[:] = mu
            failed = 0
        else:
            failed += 1
            if failed == _PATIENCE:
                length *= 0.5
                failed = 0
        _count(answer, cell, running)
        held = running.copy()
        _hold(held, price, most, cell, start_cost)
        num_seen = _remember(held, running, seen, num_seen, carries)
        paid = _day_cost(held, price, most, cell, start_cost)
        if paid < best:
            best = paid
            _spread(held, price, most, cell, replicas)
        if best - low <= tolerance * abs(best):
            break
        slope = running - _before(running) + _MOMENTUM * slope
        step = slope.copy()
        for t in range(num_slots):
            for line in range(num_lines):
                at_floor = mu[t, line] <= 0.0 and slope[t, line] < 0.0
                at_top = mu[t, line] >= start_cost[t, line] and slope[t, line] > 0.0
                if at_floor or at_top:
                    step[t, line] = 0.0
        size = (step * step).sum()
        if size == 0.0:
            break
        mu += max(length, _SLOW) * (best - total) / size * step
    if best - low > tolerance * abs(best):
        path = _way_round(seen[:num_seen], carries, price, most, cell, start_cost)
        _hold(path, price, most, cell, start_cost)
        paid = _day_cost(path, price, most, cell, start_cost)
        if paid < best:
            best = paid
            _spread(path, price, most, cell, replicas)
    return best, min(low, best), min(2.0 * max(length, _SLOW), 1.0)


@allocating
def _settle_prices(mu: Floats, price: Floats, most: Floats, cell: Ints, start_cost: Floats) -> None:
    """Put start prices between 0 and the cost, and no replica's price, p_t + μ_t − μ_t+1, under 0."""
    num_slots, num_lines = mu.shape
    least = np.full((num_slots, num_lines), np.inf)
    for o in range(price.shape[0]):
        if most[o] >= 1.0:
            least.flat[cell[o]] = min(least.flat[cell[o]], price[o])
    for line in range(num_lines):
        for t in range(num_slots):
            mu[t, line] = min(max(mu[t, line], 0.0), start_cost[t, line])
        for step in range(2 * num_slots):
            t = step % num_slots
            after = (t + 1) % num_slots
            mu[after, line] = min(mu[after, line], mu[t, line] + least[t, line])


@allocating
def _count(replicas: Floats, cell: Ints, running: Floats) -> None:
    """(num_slots, num_lines) replicas of each kind, in place."""
    running[:] = 0.0
    for o in range(replicas.shape[0]):
        running.flat[cell[o]] += replicas[o]


@allocating
def _before(running: Floats) -> Floats:
    """``running`` of the slot before."""
    before = np.empty_like(running)
    before[0] = running[-1]
    before[1:] = running[:-1]
    return before


@allocating
def _spread(running: Floats, price: Floats, most: Floats, cell: Ints, replicas: Floats) -> None:
    """(num_offers,) replicas of each offer, those running today first, in place."""
    left = running.copy()
    for o in range(price.shape[0]):
        replicas[o] = min(left.flat[cell[o]], most[o])
        left.flat[cell[o]] -= replicas[o]


@allocating
def _day_cost(running: Floats, price: Floats, most: Floats, cell: Ints, start_cost: Floats) -> float:
    """Price of the day's replicas and starts; ``inf`` where there may not be as many."""
    left, total = running.copy(), 0.0
    for o in range(price.shape[0]):
        taken = min(left.flat[cell[o]], most[o])
        left.flat[cell[o]] -= taken
        total += taken * price[o]
    if left.max() > 0.0:
        return np.inf
    return float(total + (np.maximum(running - _before(running), 0.0) * start_cost).sum())


@allocating
def _hold(running: Floats, price: Floats, most: Floats, cell: Ints, start_cost: Floats) -> None:
    """Fill troughs, in place, where holding replicas through one costs less than starting them again.

    Replicas count by layers: those beyond each count that occurs. The troughs of a layer decide apart.
    """
    num_slots, num_lines = running.shape
    holding = np.zeros((num_slots, num_lines))  # the dearest a replica may be
    room = np.zeros((num_slots, num_lines))
    for o in range(price.shape[0]):
        room.flat[cell[o]] += most[o]
        if most[o] >= 1.0:
            holding.flat[cell[o]] = max(holding.flat[cell[o]], price[o])
    for line in range(num_lines):
        counts = np.unique(running[:, line])
        if counts.shape[0] == 1:
            continue
        needed = running[:, line].copy()
        for count in counts[1:]:
            peak = 0
            while needed[peak] < count:
                peak += 1
            trough, held = 0, 0.0
            for step in range(1, num_slots + 1):  # once round, from a slot of this layer to itself
                t = (peak + step) % num_slots
                if needed[t] < count:
                    trough += 1
                    held += holding[t, line] if count <= room[t, line] else np.inf
                    continue
                if trough and held < start_cost[t, line]:
                    for back in range(1, trough + 1):
                        idle = (t - back) % num_slots
                        running[idle, line] = max(running[idle, line], count)
                trough, held = 0, 0.0


@allocating
def _remember(held: Floats, answered: Floats, seen: Floats, num_seen: int, carries: NDArray[np.bool_]) -> int:
    """Add every slot's ``held`` replicas to those ``seen``, and note which slots each row carries; how many there are.

    Args:
        held, answered: (num_slots, num_lines) counts that carry each slot.
        carries: (num_slots, _SEEN) in place.
    """
    num_slots = held.shape[0]
    for t in range(num_slots):
        new = True
        for k in range(num_seen):
            if np.all(seen[k] == held[t]):
                new = False
                break
        if new and num_seen < seen.shape[0]:
            seen[num_seen] = held[t]
            num_seen += 1
    for t in range(num_slots):
        for k in range(num_seen):
            if not carries[t, k] and np.all(seen[k] >= answered[t]):
                carries[t, k] = True
    return num_seen


@allocating
def _way_round(
    seen: Floats, carries: NDArray[np.bool_], price: Floats, most: Floats, cell: Ints, start_cost: Floats
) -> Floats:
    """(num_slots, num_lines) the cheapest day of which every slot is a row of ``seen`` that carries it."""
    num_slots, num_lines = start_cost.shape
    size = seen.shape[0]
    there = np.full((num_slots, size), np.inf)
    for k in range(size):
        left = np.empty((num_slots, num_lines))
        left[:] = seen[k]
        paid = np.zeros(num_slots)
        for o in range(price.shape[0]):
            taken = min(left.flat[cell[o]], most[o])
            left.flat[cell[o]] -= taken
            paid[cell[o] // num_lines] += taken * price[o]
        for t in range(num_slots):
            if carries[t, k] and left[t].max() <= 0.0:
                there[t, k] = paid[t]
    between = np.zeros((size, size))  # start costs are the same in every slot
    for i in range(size):
        for j in range(size):
            between[i, j] = (np.maximum(seen[j] - seen[i], 0.0) * start_cost[0]).sum()
    fewest, origin = size + 1, 0
    for t in range(num_slots):
        count = int(np.isfinite(there[t]).sum())
        if count < fewest:
            fewest, origin = count, t
    cheapest, path = np.inf, np.zeros(num_slots, dtype=np.int64)
    came = np.zeros((num_slots + 1, size), dtype=np.int64)
    for start in range(size):
        if not np.isfinite(there[origin, start]):
            continue
        cost = np.full(size, np.inf)
        cost[start] = there[origin, start]
        for step in range(1, num_slots + 1):
            t = (origin + step) % num_slots
            reached = np.full(size, np.inf)
            for j in range(size):
                closing = 0.0 if j == start else np.inf
                at_t = closing if step == num_slots else there[t, j]
                if not np.isfinite(at_t):
                    continue
                for i in range(size):
                    if cost[i] + between[i, j] + at_t < reached[j]:
                        reached[j] = cost[i] + between[i, j] + at_t
                        came[step, j] = i
            cost = reached
        if cost[start] < cheapest:
            cheapest = cost[start]
            k = start
            for step in range(num_slots, 0, -1):
                path[(origin + step) % num_slots] = k
                k = came[step, k]
    way = np.empty((num_slots, num_lines))
    for t in range(num_slots):
        way[t] = seen[path[t]]
    return way
