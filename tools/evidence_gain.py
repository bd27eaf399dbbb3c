"""How much a few measurements of one's own gain, on published benchmarks: prints a table.

    python tools/evidence_gain.py

Every set of bundled rows of one chip, model, format, engine version and layout plays a user's server: some of its
rows, drawn evenly, are its evidence, others judge. The chip was left out of the fit that is corrected.
"""

from seedcorn.domain.accuracy import Quantity
from seedcorn.study.accuracy.assess import unseen_curve
from seedcorn.study.accuracy.folds import Split
from seedcorn.study.accuracy.own_points import GIVEN, after_own_points, servers
from seedcorn.study.accuracy.rows import bundled
from seedcorn.study.accuracy.score import mean_over_chips
from seedcorn.study.accuracy.serving_rows import read_cases

COUNTS = (0, 1, 3, GIVEN)


def main() -> None:
    """Print median errors, averaged over chips, after so many of the user's own rows."""
    asked = [
        (server, unseen_curve(server[0], Split.CHIP))
        for server in servers(read_cases(bundled("inference.csv"))[0])
    ]
    known = [(server, curve) for server, curve in asked if curve is not None]
    found = {
        count: [r for server, curve in known for r in after_own_points(server, curve, given=count)]
        for count in COUNTS
    }
    print(f"{len(known)} sets of rows; median of |predicted / measured - 1|, mean over chips\n")
    print("| rows given | " + " | ".join(map(str, COUNTS)) + " |\n|---|" + "---|" * len(COUNTS))
    for quantity in (Quantity.E2E, Quantity.TPOT, Quantity.TTFT):
        medians = [mean_over_chips(found[count], quantity, lambda score: score.median) for count in COUNTS]
        print(f"| {quantity} | " + " | ".join("–" if m is None else f"{m:.1%}" for m in medians) + " |")


if __name__ == "__main__":
    main()
