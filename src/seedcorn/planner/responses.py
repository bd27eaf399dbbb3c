"""Best responses of services, compiled: the least-priced integer replicas that carry every class.

One class is a covering knapsack, solved depth first with offers in order of price per unit of load.
Several classes share replicas: with fractional replicas each class would take its cheapest offer, and
only the rounding couples them; a branch and bound on the replica counts rests on a small dual simplex
that keeps its basis from node to node.

Both return a proven lower bound beside the answer; they differ by at most the tolerance asked, unless
the node limit struck.
"""

from typing import NamedTuple

import numpy as np

from seedcorn.jit import allocating
from seedcorn.planner.problem import Floats, Ints

NODE_LIMIT = 20_000
"""Of one service's search; past it the bound is the relaxed one."""
_EPS = 1e-9
"""Float rounding, relative."""
_INTEGRAL = 1e-7
"""Replica counts nearer to a whole number than this are whole."""
_MAX_DEPTH = 256
_CARRIED = 5e-7
"""Loads of replicas that HiGHS counted may exceed them by this much, relative: half of what ``verify`` allows."""
_LEVELLINGS = 12
"""Bisections of the highest load: to 1 / 2048."""


@allocating
def best_responses(
    which: Ints,
    price: Floats,
    offer_start: Ints,
    load_start: Ints,
    load: Floats,
    num_classes: Ints,
    max_replicas: Floats,
    tolerance: float,
    node_limit: int,
    replicas: Floats,
    value: Floats,
    bound: Floats,
) -> None:
    """Best response of each service in ``which``, in place.

    Args:
        which: (k,) services to answer for.
        price: (num_offers,) price of one replica, ≥ 0.
        offer_start, load_start, load, num_classes, max_replicas: As in ``Problem``.
        tolerance: Relative distance from the best that will do.
        replicas: (num_offers,) in place for these services' offers; on entry an answer that carries
            every class, if one is known, else 0.
        value: (num_services,) price of the answer; ``inf``: none found.
        bound: (num_services,) no answer is cheaper; ``inf``: there is none.
    """
    for k in range(which.shape[0]):
        s = which[k]
        a, b = offer_start[s], offer_start[s + 1]
        num_r = num_classes[s]
        block = load[load_start[s] : load_start[s + 1]]
        if num_r == 0:
            replicas[a:b] = 0.0
            value[s] = 0.0
            bound[s] = 0.0
        elif num_r == 1:
            value[s], bound[s] = cover(
                price[a:b], block, max_replicas[a:b], tolerance, node_limit, replicas[a:b]
            )
        else:
            value[s], bound[s] = split(
                price[a:b],
                block.reshape(b - a, num_r),
                max_replicas[a:b],
                tolerance,
                node_limit,
                replicas[a:b],
            )


@allocating
def _fill(need: float, first: int, price: Floats, load: Floats, most: Floats) -> float:
    """Least price to cover ``need`` with fractions of the offers from ``first`` on; ``inf``: cannot."""
    total = 0.0
    for o in range(first, price.shape[0]):
        if need * load[o] <= most[o]:
            return float(total + need * load[o] * price[o])
        total += most[o] * price[o]
        need -= most[o] / load[o]
    return np.inf if need > _EPS else total


@allocating
def cover(
    price: Floats, load: Floats, most: Floats, tolerance: float, node_limit: int, replicas: Floats
) -> tuple[float, float]:
    """min Σ price·n so that Σ n/load ≥ 1, 0 ≤ n ≤ most, n integer: (price, proven bound).

    Args:
        load: (num_offers,) replicas that would carry everything; ``inf``: the offer cannot.
        replicas: (num_offers,) the answer, in place; on entry a known one, or 0.
    """
    able = np.flatnonzero(np.isfinite(load) & (most >= 1.0))
    able = able[np.argsort(price[able] * load[able], kind="mergesort")]
    p, w, u = price[able], load[able], most[able]
    root = _fill(1.0, 0, p, w, u)
    if not np.isfinite(root):
        return np.inf, np.inf
    size = able.shape[0]
    n, best_n = np.zeros(size), replicas[able]
    need, paid = np.zeros(size + 1), np.zeros(size + 1)
    need[0] = 1.0
    best = (p * best_n).sum() if best_n.any() else np.inf
    level, entering, nodes = 0, True, 0
    while level >= 0 and nodes < node_limit:
        nodes += 1
        if entering:  # as many as could be of use
            n[level] = min(u[level], np.ceil(need[level] * w[level] - _EPS * w[level]))
        else:
            n[level] -= 1.0
        entering = False
        if n[level] < 0.0:
            level -= 1
            continue
        paid[level + 1] = paid[level] + n[level] * p[level]
        left = need[level] - n[level] / w[level]
        if left <= _EPS:
            if paid[level + 1] < best:
                best = paid[level + 1]
                best_n[:] = 0.0
                best_n[: level + 1] = n[: level + 1]
            continue
        low = paid[level + 1] + _fill(left, level + 1, p, w, u)
        if low >= best * (1.0 - tolerance):  # fewer here only means dearer offers later
            level -= 1
            continue
        if level + 1 < size:
            level += 1
            need[level] = left
            entering = True
    replicas[able] = best_n
    return best, (root if level >= 0 else max(root, best * (1.0 - tolerance)))


class _Dictionary(NamedTuple):
    """A linear program in dictionary form: x_B = const + t·x_N, cost = z + d·x_N, low ≤ x ≤ high.

    Variables are numbered: shares of (offer, class) pairs, then replicas of offers, then slack of offers.

    Attributes:
        t: (num_basic, num_nonbasic); const: (num_basic,); d: (num_nonbasic,); z: (1,).
        basic, nonbasic: Which variable each row and column is.
        low, high: (num_variables,).
        x_b, x_n: Values at the last solution.
        pair_offer, pair_class: (num_pairs,) what each share variable is a share of.
    """

    t: Floats
    const: Floats
    d: Floats
    z: Floats
    basic: Ints
    nonbasic: Ints
    low: Floats
    high: Floats
    x_b: Floats
    x_n: Floats
    pair_offer: Ints
    pair_class: Ints


@allocating
def _dictionary(price: Floats, w: Floats, most: Floats, home: Ints) -> _Dictionary:
    """The relaxed optimum, written down: class r on offer ``home[r]``, every offer as many replicas as its load."""
    num_o, num_r = w.shape
    num_pairs = 0
    for o in range(num_o):
        for r in range(num_r):
            if np.isfinite(w[o, r]) and most[o] >= 1.0:
                num_pairs += 1
    rows, cols = num_r + num_o, num_pairs - num_r + num_o
    t, const, d, z = np.zeros((rows, cols)), np.zeros(rows), np.zeros(cols), np.zeros(1)
    basic, nonbasic = np.empty(rows, dtype=np.int64), np.empty(cols, dtype=np.int64)
    pair_offer, pair_class = np.empty(num_pairs, dtype=np.int64), np.empty(num_pairs, dtype=np.int64)
    pair, col = 0, 0
    for o in range(num_o):
        for r in range(num_r):
            if not (np.isfinite(w[o, r]) and most[o] >= 1.0):
                continue
            pair_offer[pair], pair_class[pair] = o, r
            if home[r] == o:
                basic[r] = pair
                const[r] = 1.0
                const[num_r + o] += w[o, r]
                z[0] += price[o] * w[o, r]
            else:
                nonbasic[col] = pair
                t[r, col] = -1.0
                t[num_r + o, col] += w[o, r]
                t[num_r + home[r], col] -= w[home[r], r]
                d[col] = price[o] * w[o, r] - price[home[r]] * w[home[r], r]
                col += 1
            pair += 1
    for o in range(num_o):
        basic[num_r + o] = num_pairs + o
        nonbasic[col] = num_pairs + num_o + o
        t[num_r + o, col] = 1.0
        d[col] = price[o]
        col += 1
    low, high = np.zeros(num_pairs + 2 * num_o), np.full(num_pairs + 2 * num_o, np.inf)
    high[num_pairs : num_pairs + num_o] = most
    return _Dictionary(
        t, const, d, z, basic, nonbasic, low, high, np.zeros(rows), np.zeros(cols), pair_offer, pair_class
    )


@allocating
def _homes(price: Floats, w: Floats, most: Floats) -> Ints:
    """(num_classes,) the offer that carries each class at the least price; -1: none does."""
    home = np.full(w.shape[1], -1, dtype=np.int64)
    for r in range(w.shape[1]):
        cheapest = np.inf
        for o in range(w.shape[0]):
            if most[o] >= 1.0 and price[o] * w[o, r] < cheapest:
                cheapest = price[o] * w[o, r]
                home[r] = o
    return home


@allocating
def _pivot(lp: _Dictionary, i: int, j: int) -> None:
    """Swap basic row i with nonbasic column j."""
    t, const, d, z = lp.t, lp.const, lp.d, lp.z
    inverse = 1.0 / t[i, j]
    t[i, j] = -1.0
    for k in range(t.shape[1]):
        t[i, k] *= -inverse
    const[i] *= -inverse
    for r in range(t.shape[0]):
        a = t[r, j]
        if r == i or a == 0.0:
            continue
        t[r, j] = 0.0
        for k in range(t.shape[1]):
            t[r, k] += a * t[i, k]
        const[r] += a * const[i]
    a = d[j]
    d[j] = 0.0
    for k in range(t.shape[1]):
        d[k] += a * t[i, k]
    z[0] += a * const[i]
    lp.basic[i], lp.nonbasic[j] = lp.nonbasic[j], lp.basic[i]


@allocating
def _leaving(lp: _Dictionary) -> int:
    """The basic row furthest outside its bounds; -1: all are inside."""
    worst, row = _EPS, -1
    for i in range(lp.basic.shape[0]):
        v = lp.basic[i]
        off = max(lp.low[v] - lp.x_b[i], lp.x_b[i] - lp.high[v]) / (1.0 + abs(lp.x_b[i]))
        if off > worst:
            worst, row = off, i
    return row


@allocating
def _entering(lp: _Dictionary, row: int, sign: float) -> int:
    """The nonbasic column that moves ``row`` by ``sign`` at the least cost per unit; -1: none can."""
    column, ratio, size = -1, np.inf, 0.0
    for j in range(lp.nonbasic.shape[0]):
        v = lp.nonbasic[j]
        a = sign * lp.t[row, j]
        at_low = lp.x_n[j] == lp.low[v]
        if lp.low[v] == lp.high[v] or (a <= _EPS if at_low else a >= -_EPS):
            continue
        r = abs(lp.d[j] / a)
        if r < ratio - 1e-12 or (r < ratio + 1e-12 and abs(a) > size):
            column, ratio, size = j, r, abs(a)
    return column


@allocating
def _rest(lp: _Dictionary) -> float:
    """Put every nonbasic variable at the bound its reduced cost wants, and follow with the rest; the cost."""
    cost = lp.z[0]
    for j in range(lp.nonbasic.shape[0]):
        v = lp.nonbasic[j]
        lp.x_n[j] = lp.high[v] if lp.d[j] < 0.0 and np.isfinite(lp.high[v]) else lp.low[v]
        cost += lp.d[j] * lp.x_n[j]
    lp.x_b[:] = lp.const
    for j in range(lp.nonbasic.shape[0]):
        if lp.x_n[j] != 0.0:
            for i in range(lp.basic.shape[0]):
                lp.x_b[i] += lp.t[i, j] * lp.x_n[j]
    return float(cost)


@allocating
def _reoptimise(lp: _Dictionary, cutoff: float) -> float:
    """Least cost within the bounds as they are now, by the dual simplex; ``inf``: none under ``cutoff``.

    Bounds may have changed since the last call: reduced costs do not depend on them.
    """
    cost = _rest(lp)
    for _ in range(50 * (lp.basic.shape[0] + lp.nonbasic.shape[0])):
        if cost >= cutoff:
            return np.inf
        i = _leaving(lp)
        if i < 0:
            return cost
        v = lp.basic[i]
        rises = lp.x_b[i] < lp.low[v]
        j = _entering(lp, i, 1.0 if rises else -1.0)
        if j < 0:
            return np.inf
        target = lp.low[v] if rises else lp.high[v]
        step = (target - lp.x_b[i]) / lp.t[i, j]
        for k in range(lp.basic.shape[0]):
            lp.x_b[k] += lp.t[k, j] * step
        cost += lp.d[j] * step
        lp.x_b[i] = lp.x_n[j] + step
        lp.x_n[j] = target
        _pivot(lp, i, j)
    return cost


@allocating
def _read(lp: _Dictionary, value: Floats) -> None:
    """(num_variables,) values by variable number, in place."""
    for i in range(lp.basic.shape[0]):
        value[lp.basic[i]] = lp.x_b[i]
    for j in range(lp.nonbasic.shape[0]):
        value[lp.nonbasic[j]] = lp.x_n[j]


@allocating
def _settle(lp: _Dictionary, w: Floats, share: Floats, load: Floats) -> None:
    """Clean shares (≥ 0, summing to 1 per class) and the load they put on each offer, in place.

    Args:
        share: (num_pairs or more,) as read from the dictionary.
        load: (num_offers,) in replicas.
    """
    total = np.zeros(w.shape[1])
    for k in range(lp.pair_offer.shape[0]):
        share[k] = max(share[k], 0.0)
        total[lp.pair_class[k]] += share[k]
    load[:] = 0.0
    for k in range(lp.pair_offer.shape[0]):
        share[k] /= total[lp.pair_class[k]]
        load[lp.pair_offer[k]] += share[k] * w[lp.pair_offer[k], lp.pair_class[k]]


@allocating
def split(
    price: Floats, w: Floats, most: Floats, tolerance: float, node_limit: int, replicas: Floats
) -> tuple[float, float]:
    """min Σ price·n so that shares x ≥ 0 have Σ_o x_or = 1 and Σ_r w_or·x_or ≤ n_o ≤ most_o, n integer.

    Depth first on the replica counts, more replicas before fewer.

    Args:
        w: (num_offers, num_classes) replicas that carry a whole class; ``inf``: cannot.
        replicas: (num_offers,) the answer, in place; on entry a known one, or 0.

    Returns:
        Its price and the proven bound.
    """
    home = _homes(price, w, most)
    if home.min() < 0:
        return np.inf, np.inf
    lp = _dictionary(price, w, most, home)
    num_o, num_pairs = w.shape[0], lp.pair_offer.shape[0]
    value, load, up = np.zeros(lp.low.shape[0]), np.zeros(num_o), np.zeros(num_o)
    var = np.empty(_MAX_DEPTH, dtype=np.int64)
    old_low, old_high, floor = np.empty(_MAX_DEPTH), np.empty(_MAX_DEPTH), np.empty(_MAX_DEPTH)
    fewer = np.zeros(_MAX_DEPTH, dtype=np.bool_)
    best = (price * replicas).sum() if replicas.any() else np.inf
    root, depth, nodes = -np.inf, 0, 0
    while True:
        nodes += 1
        cost = _reoptimise(lp, best * (1.0 - tolerance))
        if nodes == 1:
            root = cost
        offer = -1
        if np.isfinite(cost):
            _read(lp, value)
            _settle(lp, w, value, load)
            up[:] = np.ceil(load * (1.0 - _EPS) - _EPS)
            paid = (price * up).sum()
            if paid < best and np.all(up <= most):
                best = paid
                replicas[:] = up
            if cost < best * (1.0 - tolerance):
                offer = _most_rounded(price, value[num_pairs : num_pairs + num_o])
        if offer >= 0:
            if depth == _MAX_DEPTH or nodes >= node_limit:
                return best, root
            v = num_pairs + offer
            var[depth], old_low[depth], old_high[depth] = v, lp.low[v], lp.high[v]
            floor[depth] = np.floor(value[v] + _INTEGRAL)
            fewer[depth] = False
            lp.low[v] = floor[depth] + 1.0
            depth += 1
            continue
        while depth > 0 and fewer[depth - 1]:
            depth -= 1
            lp.low[var[depth]], lp.high[var[depth]] = old_low[depth], old_high[depth]
        if depth == 0:
            return best, min(best, max(root, best * (1.0 - tolerance)))
        v = var[depth - 1]
        lp.low[v], lp.high[v] = old_low[depth - 1], floor[depth - 1]
        fewer[depth - 1] = True


@allocating
def _most_rounded(price: Floats, count: Floats) -> int:
    """The offer whose fractional replica count is dearest to round up; -1: all counts are whole."""
    dearest, offer = -1.0, -1
    for o in range(count.shape[0]):
        fraction = count[o] - np.floor(count[o] + _INTEGRAL)
        if fraction > _INTEGRAL and price[o] * (1.0 - fraction) > dearest:
            dearest, offer = price[o] * (1.0 - fraction), o
    return offer


@allocating
def level_shares(w: Floats, replicas: Floats, share: Floats) -> float:
    """Shares that load all replicas as evenly as can be; the highest load per replica, ``inf``: cannot carry.

    Args:
        w: (num_offers, num_classes) replicas that carry a whole class.
        share: (num_offers, num_classes) written in place.
    """
    price = np.ones(w.shape[0])
    home = _homes(price, w, replicas)
    if home.min() < 0:
        return np.inf
    lp = _dictionary(price, w, replicas, home)
    num_pairs = lp.pair_offer.shape[0]
    value, load = np.zeros(lp.low.shape[0]), np.zeros(w.shape[0])
    high = lp.high[num_pairs : num_pairs + w.shape[0]]
    best, low, trial = np.inf, 0.0, 1.0 + _CARRIED
    for _ in range(_LEVELLINGS):
        high[:] = trial * replicas
        if np.isfinite(_reoptimise(lp, np.inf)):
            _read(lp, value)
            _settle(lp, w, value, load)
            best = 0.0
            share[:] = 0.0
            for k in range(num_pairs):
                share[lp.pair_offer[k], lp.pair_class[k]] = value[k]
            for o in range(w.shape[0]):
                if replicas[o] > 0.0:
                    best = max(best, load[o] / replicas[o])
            trial = 0.5 * (low + min(best, trial))
        elif not np.isfinite(best):
            return np.inf
        else:
            low = trial
            trial = 0.5 * (low + best)
    return best
