"""Where services go, relaxed and fast: the market of ``solve`` with replicas in fractions, a linear program.

``runway`` clears it once a month in every future it draws, so it has a kernel of its own. Each service
has one constraint (its load is carried) and each pool one (its chips suffice); there are many services
and few pools. A basis then holds one *key* pool for each service, plus one column for each pool, and all
the algebra is on a matrix of pools by pools (generalised upper bounds, Dantzig and Van Slyke 1967,
doi:10.1016/S0022-0000(67)80015-8). Sending every service to its cheapest pool is optimal but for
overfull pools, which is where the dual simplex starts; and from month to month only loads and chips
change, so that it goes on from the last month's basis.

The last pool, *unmet*, takes any load for a price that no placement comes near: what lands there cannot
be carried.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seedcorn.jit import jit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SLACK = -1
"""Service of a column that is a pool's free chips."""

_CHIPS = 1e-6
"""Chips that rounding may lack or leave."""
_EPS = 1e-9
_PIVOTS = 100
"""Pivots allowed for each service and pool; real ones take about one."""


class Basis(NamedTuple):
    """Where the dual simplex stands, written in place; P pools besides *unmet*, S services.

    Attributes:
        key: (S,) the pool that carries what a service's other columns do not.
        service, pool: (P,) the other columns; ``service`` is ``SLACK`` for free chips of ``pool``.
        inverse: (P, P) of the other columns after the keys are eliminated.
        matrix, row, entering, value, dual: Scratch: (P, P), then (P,) each.
        rest: (S,) load of the key column.
    """

    key: Ints
    service: Ints
    pool: Ints
    inverse: Floats
    matrix: Floats
    row: Floats
    entering: Floats
    value: Floats
    dual: Floats
    rest: Floats


def a_basis(num_services: int, num_pools: int) -> Basis:
    """Room for a basis of this size."""
    square, line = (num_pools, num_pools), num_pools
    return Basis(
        key=np.zeros(num_services, dtype=np.int64),
        service=np.full(line, SLACK, dtype=np.int64),
        pool=np.arange(line),
        inverse=np.eye(num_pools),
        matrix=np.zeros(square),
        row=np.zeros(line),
        entering=np.zeros(line),
        value=np.zeros(line),
        dual=np.zeros(line),
        rest=np.zeros(num_services),
    )


@jit
def start(basis: Basis, cost: Floats) -> None:
    """Every service on its cheapest pool: a basis whose prices are right, whatever the loads."""
    for s in range(cost.shape[0]):
        best = 0
        for p in range(1, cost.shape[1]):
            if cost[s, p] < cost[s, best]:
                best = p
        basis.key[s] = best
    for p in range(basis.pool.shape[0]):
        basis.service[p] = SLACK
        basis.pool[p] = p
        for q in range(basis.pool.shape[0]):
            basis.inverse[p, q] = 1.0 if p == q else 0.0


@jit
def place(cost: Floats, need: Floats, demand: Floats, stock: Floats, basis: Basis, load: Floats) -> bool:
    """Place ``demand`` at least cost, from ``basis`` on; whether it ended as it should.

    Args:
        cost: (S, P + 1) of carrying one unit of load; ``inf``: not there. The last pool is *unmet*.
        need: (S, P + 1) chips that one unit of load takes; 0 in *unmet*.
        demand: (S,) loads.
        stock: (P,) chips.
        basis: One whose prices are right for ``cost``; on return the best one.
        load: (S, P + 1) written: load carried where.
    """
    num_services, num_pools = cost.shape[0], stock.shape[0]
    _refresh(need, basis)
    for _ in range(_PIVOTS * (num_services + num_pools)):
        _values(need, demand, stock, basis)
        leaving = _leaving(need, basis)
        if leaving == -1:
            _write(demand, basis, load)
            return True
        if leaving < -1:
            leaving = _rekeyed(-2 - leaving, basis)
        entering = _entering(cost, need, basis, leaving)
        if entering < 0:
            return False
        _pivot(need, basis, leaving, entering)
    return False


@jit
def _column(need: Floats, basis: Basis, service: int, pool: int, column: Floats) -> None:
    """Chips that a unit of load in ``pool`` takes from each pool, if it leaves the service's key pool."""
    for p in range(column.shape[0]):
        column[p] = 0.0
    if service == SLACK:
        column[pool] = 1.0
        return
    if pool < column.shape[0]:
        column[pool] += need[service, pool]
    key = basis.key[service]
    if key < column.shape[0]:
        column[key] -= need[service, key]


@jit
def _refresh(need: Floats, basis: Basis) -> None:
    """The inverse anew from the columns, by elimination with pivoting: no rounding gathers over months."""
    size = basis.pool.shape[0]
    for j in range(size):
        _column(need, basis, basis.service[j], basis.pool[j], basis.entering)
        for p in range(size):
            basis.matrix[p, j] = basis.entering[p]
            basis.inverse[p, j] = 1.0 if p == j else 0.0
    for j in range(size):
        best = j
        for p in range(j + 1, size):
            if abs(basis.matrix[p, j]) > abs(basis.matrix[best, j]):
                best = p
        for q in range(size):
            basis.matrix[j, q], basis.matrix[best, q] = basis.matrix[best, q], basis.matrix[j, q]
            basis.inverse[j, q], basis.inverse[best, q] = basis.inverse[best, q], basis.inverse[j, q]
        pivot = basis.matrix[j, j]
        for q in range(size):
            basis.matrix[j, q] /= pivot
            basis.inverse[j, q] /= pivot
        for p in range(size):
            factor = basis.matrix[p, j]
            if p != j and factor != 0.0:
                for q in range(size):
                    basis.matrix[p, q] -= factor * basis.matrix[j, q]
                    basis.inverse[p, q] -= factor * basis.inverse[j, q]


@jit
def _values(need: Floats, demand: Floats, stock: Floats, basis: Basis) -> None:
    """What every column carries: ``value`` of the pools' columns, ``rest`` of the keys."""
    size = stock.shape[0]
    for p in range(size):
        basis.row[p] = stock[p]
    for s in range(demand.shape[0]):
        basis.rest[s] = demand[s]
        if basis.key[s] < size:
            basis.row[basis.key[s]] -= need[s, basis.key[s]] * demand[s]
    for j in range(size):
        total = 0.0
        for p in range(size):
            total += basis.inverse[j, p] * basis.row[p]
        basis.value[j] = total
        if basis.service[j] != SLACK:
            basis.rest[basis.service[j]] -= total


@jit
def _leaving(need: Floats, basis: Basis) -> int:
    """The column that lacks most chips: its place, or −2 − service where it is a key; −1: none lacks any."""
    worst, found = _CHIPS, -1
    for j in range(basis.pool.shape[0]):
        s = basis.service[j]
        lacking = -basis.value[j] if s == SLACK else -basis.value[j] * _weight(need, s, basis.pool[j])
        if lacking > worst:
            worst, found = lacking, j
    for j in range(basis.pool.shape[0]):
        s = basis.service[j]
        if s != SLACK:
            lacking = -basis.rest[s] * _weight(need, s, basis.key[s])
            if lacking > worst:
                worst, found = lacking, -2 - s
    return found


@jit
def _weight(need: Floats, service: int, pool: int) -> float:
    """Chips by which to judge a load there; in *unmet*, those of the service's leanest pool."""
    if pool < need.shape[1] - 1:
        return float(need[service, pool])
    least = np.inf
    for p in range(need.shape[1] - 1):
        least = min(least, need[service, p])
    return least if least < np.inf else 1.0


@jit
def _rekeyed(service: int, basis: Basis) -> int:
    """Let the service's fullest other column be its key; the place that its old key gets in return."""
    size = basis.pool.shape[0]
    place = -1
    for j in range(size):
        if basis.service[j] == service and (place < 0 or basis.value[j] > basis.value[place]):
            place = j
    for q in range(size):  # the old column of the new key is the new column of the old key, negated
        total = -basis.inverse[place, q]
        for j in range(size):
            if j != place and basis.service[j] == service:
                total -= basis.inverse[j, q]
        basis.inverse[place, q] = total
    basis.key[service], basis.pool[place] = basis.pool[place], basis.key[service]
    return place


@jit
def _entering(cost: Floats, need: Floats, basis: Basis, leaving: int) -> int:
    """The column that takes over at the least rise in price: service · (P + 1) + pool; pools' slacks come last."""
    size, width = basis.pool.shape[0], cost.shape[1]
    for p in range(size):
        basis.dual[p] = 0.0
    for j in range(size):
        s = basis.service[j]
        if s != SLACK:
            dearer = cost[s, basis.pool[j]] - cost[s, basis.key[s]]
            for p in range(size):
                basis.dual[p] += dearer * basis.inverse[j, p]
    row, largest = basis.inverse[leaving], 0.0
    for p in range(size):
        largest = max(largest, abs(row[p]))
    best, best_size, found = np.inf, 0.0, -1
    for s in range(cost.shape[0]):
        key = basis.key[s]
        row_key, key_price = 0.0, cost[s, key]
        if key < size:
            row_key = row[key] * need[s, key]
            key_price -= basis.dual[key] * need[s, key]
        for p in range(width):
            if p == key or cost[s, p] == np.inf:
                continue
            row_here, price = 0.0, cost[s, p]
            if p < size:
                row_here = row[p] * need[s, p]
                price -= basis.dual[p] * need[s, p]
            fall = row_key - row_here
            if fall > _EPS * largest * (need[s, p] + need[s, key]):
                rise = max(price - key_price, 0.0) / fall
                if rise < best or (rise == best and fall > best_size):
                    best, best_size, found = rise, fall, s * width + p
    for p in range(size):
        if -row[p] > _EPS * largest:
            rise = max(-basis.dual[p], 0.0) / -row[p]
            if rise < best:
                best, best_size, found = rise, -row[p], cost.shape[0] * width + p
    return found


@jit
def _pivot(need: Floats, basis: Basis, leaving: int, entering: int) -> None:
    size, width = basis.pool.shape[0], need.shape[1]
    service, pool = entering // width, entering % width
    if service == need.shape[0]:
        service = SLACK
    _column(need, basis, service, pool, basis.entering)
    for j in range(size):
        total = 0.0
        for p in range(size):
            total += basis.inverse[j, p] * basis.entering[p]
        basis.row[j] = total
    pivot = basis.row[leaving]
    for q in range(size):
        basis.inverse[leaving, q] /= pivot
    for j in range(size):
        if j != leaving and basis.row[j] != 0.0:
            for q in range(size):
                basis.inverse[j, q] -= basis.row[j] * basis.inverse[leaving, q]
    basis.service[leaving] = service
    basis.pool[leaving] = pool


@jit
def _write(demand: Floats, basis: Basis, load: Floats) -> None:
    for s in range(load.shape[0]):
        for p in range(load.shape[1]):
            load[s, p] = 0.0
        load[s, basis.key[s]] = max(basis.rest[s], 0.0)
    for j in range(basis.pool.shape[0]):
        if basis.service[j] != SLACK:
            load[basis.service[j], basis.pool[j]] = max(basis.value[j], 0.0)
