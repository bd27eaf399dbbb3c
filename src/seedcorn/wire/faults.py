"""Files of faults: a CSV of nodes lost and returned (``seedcorn replay PLAN --faults FILE``)."""

import csv
import math
from collections.abc import Iterable
from pathlib import Path

from seedcorn.domain.fault import Outage
from seedcorn.domain.hardware import PoolName
from seedcorn.errors import InputError

COLUMNS = ("pool", "node", "lost_s", "back_s")


def read_faults(path: Path, pools: Iterable[str]) -> tuple[Outage, ...]:
    """The outages in the CSV at ``path``; an empty ``back_s``: the node does not return.

    Args:
        path: With the columns ``pool,node,lost_s,back_s``.
        pools: Names there are.

    Raises:
        InputError: Unreadable or wrong; says which line, what was got and what would work.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the faults: {error}", where=str(path)) from error
    reader = csv.DictReader(text.splitlines(), strict=True)
    known = sorted(pools)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        got = ",".join(reader.fieldnames or ())
        raise InputError(f"the columns are {got!r}; expected {','.join(COLUMNS)!r}", where=f"{path}:1")
    found = []
    for row in reader:
        where = f"{path}:{reader.line_num}"
        if None in row or None in row.values():
            raise InputError(f"expected {len(COLUMNS)} cells: {','.join(COLUMNS)}", where=where)
        if row["pool"] not in known:
            raise InputError(
                f"no pool {row['pool']!r} in the fleet; there are {', '.join(known)}", where=where
            )
        lost_s = _seconds(row["lost_s"], "lost_s", where)
        back_s = _seconds(row["back_s"], "back_s", where) if row["back_s"].strip() else math.inf
        if back_s <= lost_s:
            raise InputError(f"back at {back_s:g} s, which is not after lost_s, {lost_s:g} s", where=where)
        node = row["node"].strip()
        if not node.isdecimal():
            raise InputError(f"node is {node!r}; expected a whole number, 0 the first", where=where)
        found.append(Outage(pool=PoolName(row["pool"]), node=int(node), lost_s=lost_s, back_s=back_s))
    return tuple(found)


def _seconds(text: str, column: str, where: str) -> float:
    try:
        value_s = float(text)
    except ValueError:
        value_s = math.nan
    if not 0 <= value_s < math.inf:
        raise InputError(
            f"{column} is {text!r}; expected seconds since the trace's start, 0 or more", where=where
        )
    return value_s
