"""How far a confirmation can be trusted: simulated searches whose trials' true quality is known.

    python benchmarks/confirm.py

A search of 60 trials, each of true quality N(0, 1), sees them with the noise of one training, N(0, 0.7); its best K are
trained S times again. The table that it prints stands in docs/confirm.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.promote.standings import Sample, Standings, standings

TRIALS = 60
NOISE = 0.7
BANDS = ((0.0, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01))


@dataclass(frozen=True)
class Search:
    """One simulated search: what each trial is worth, who was confirmed, and what came of it."""

    true: np.ndarray
    chosen: Sequence[int]
    found: Standings

    @property
    def best(self) -> int:
        """The truly best of those that were confirmed."""
        return min(self.chosen, key=lambda number: float(self.true[number]))

    @property
    def won(self) -> bool:
        return self.found.winner.number == self.best


def simulated(top: int, seeds: int, dice: np.random.Generator) -> Search:
    true = dice.normal(0, 1, TRIALS)
    seen = true + dice.normal(0, NOISE, TRIALS)
    chosen = [int(number) for number in np.argsort(seen)[:top]]
    samples = [
        Sample(number, float(seen[number]), tuple((true[number] + dice.normal(0, NOISE, seeds)).tolist()))
        for number in chosen
    ]
    return Search(true, chosen, standings(samples, "minimize"))


def row(top: int, seeds: int, searches: Sequence[Search]) -> str:
    """Return a line of the table."""
    own = [one.chosen[0] == one.best for one in searches]
    lost = [one.true[one.chosen[0]] - one.true[one.best] for one in searches]
    left = [one.true[one.found.winner.number] - one.true[one.best] for one in searches]
    known = [(one.true[one.chosen[0]], one.found.optimism) for one in searches if one.found.optimism is not None]
    held = [(told.low or 0.0) <= true - told.searched <= (told.high or 0.0) for true, told in known]
    looked = np.mean([told.value for _, told in known])
    shares = f"{np.mean([one.won for one in searches]):.0%} | {np.mean(own):.0%}"
    means = f"{np.mean(lost):.2f} | {np.mean(left):.2f} | {looked:.2f}"
    return f"| {top}, {seeds} | {shares} | {means} | {np.mean(held):.0%} |"


def bands(searches: Sequence[Search]) -> list[str]:
    """Return how often winners of some p(best) were the best."""
    told = [(one.found.winner.best or 0.0, one.won) for one in searches]
    lines = []
    for low, high in BANDS:
        of_band = [(chance, won) for chance, won in told if low <= chance < high]
        if of_band:
            chance, won = np.mean(of_band, axis=0)
            lines.append(f"  p(best) {low} to {min(high, 1.0)}: {chance:.2f} on average, best in {won:.0%}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=1500, help="for each line of the table")
    asked = parser.parse_args()
    dice = np.random.default_rng(0)
    for top, seeds in ((3, 3), (3, 5), (5, 3), (5, 5)):
        searches = [simulated(top, seeds, dice) for _ in range(asked.searches)]
        missed = [one for one in searches if not one.won]
        equal = np.mean([any(told.number == one.best for told in one.found.equal) for one in missed])
        told = [row(top, seeds, searches), f"  where it did not win, the best was called equal in {equal:.0%}"]
        sys.stdout.write("\n".join([*told, *bands(searches)]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
