"""Whether a competitor is better than the champion, looked at after every row and never wrong too often: `PairedTest`.

Testing by betting (Waudby-Smith and Ramdas 2024; Choe and Ramdas 2023): capital 1 is bet on "the next difference of
losses favours the competitor", a share `l` of a stake on each row, so that a stake grows by `1 + l d`. Where the
competitor is no better than the champion, whatever happened before, no bet is expected to gain. So the capital ever
reaches 20 with probability 1/20 at most (Ville's inequality), however often one looks and however rows depend on each
other.

Nobody knows how much to bet, nor when a competitor gets better, so the capital is a mixture: an account for each share
of a grid, half of it at stake from the first row on, and the other half put at stake little by little. All stakes of an
account have the same gains from the row on that they are there, so their sum is all that is kept (the recursion of
Shiryaev and Roberts; Shin, Ramdas and Rinaldo 2023 call such mixtures over starts e-detectors), exact and without end.
How much is put at stake depends on the rows before only, which keeps the bet fair.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

_SHARES: Final = tuple(0.95 / 1.6**place for place in range(9))
"""Of a stake that are bet: 0.95 to 0.022. Between two of them, growth is within 6 % of the best share's."""

_CAPITAL: Final = tuple(math.sqrt(one) / math.fsum(math.sqrt(each) for each in _SHARES) for one in _SHARES)
"""Where an account begins. More for large shares: what they can find has to be found in few rows."""

_FIRST: Final = 0.5
"""Of an account that is at stake from the first row on."""

_TAIL: Final = 0.3
"""How slowly the rest follows: after as much "time" t, (1 + t)**-0.3 of it still waits."""

_SIGNAL: Final = math.log(5.0)
"""What a share has to have gained since its low, in nats, for its "time" to pass and new money to be put at stake.

"Time" is squared bets. So a long life costs little as long as the two hardly differ, or as the champion is the better
one: only stretches in which the competitor looked better have spent money.
"""

_MOST: Final = 1e250
"""What is at stake is cut here, far from overflow; less capital keeps the level."""


@dataclass(slots=True)
class _Account:
    """One share: what is at stake, and what waits until its time has come; signal and low as in CUSUM."""

    stake: float
    waiting: float
    time: float = 0.0
    signal: float = 0.0
    low: int = 0


class PairedTest:
    """Bets that a competitor is better than the champion.

    Where the expected difference given all before is never above 0, `log_evidence` ever reaches `log(1 / alpha)` with
    probability `alpha` at most.

    Attributes:
        rows: Differences taken.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._accounts = [_Account(_FIRST * one, (1 - _FIRST) * one) for one in _CAPITAL]

    def update(self, difference: float) -> None:
        """Take a row that both answered before its label was known.

        Args:
            difference: The champion's loss less the competitor's, in [-1, 1].

        Raises:
            ValueError: It is not.
        """
        if not -1 <= difference <= 1:
            raise ValueError(f"a difference of losses lies in [-1, 1], got {difference!r}")
        self.rows += 1
        for share, capital, account in zip(_SHARES, _CAPITAL, self._accounts, strict=True):
            bet = share * difference
            account.stake = min(account.stake * (1 + bet), _MOST)
            account.signal += math.log1p(bet)
            if account.signal <= 0:
                account.signal, account.low = 0.0, self.rows
            elif account.signal >= _SIGNAL:
                account.time += bet * bet
                waiting = (1 - _FIRST) * capital * (1 + account.time) ** -_TAIL
                # At stake from the next row on: money that this row moves must not gain by it, or the bet is not fair.
                account.stake += account.waiting - waiting
                account.waiting = waiting

    @property
    def log_evidence(self) -> float:
        """Logarithm of the capital, natural; 0 at first."""
        return math.log(math.fsum(one.stake + one.waiting for one in self._accounts))

    @property
    def since(self) -> int:
        """Rows since the evidence began: since the low of the account that has most at stake."""
        return self.rows - max(self._accounts, key=lambda one: one.stake).low

    def to_json(self) -> dict[str, Any]:
        """Return all that it knows, exactly."""
        return {"rows": self.rows, "accounts": [asdict(one) for one in self._accounts]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the test that `to_json` described, which goes on as that one would have.

        Raises:
            ValueError: It has other accounts than there are.
        """
        if len(values["accounts"]) != len(_SHARES):
            raise ValueError(f"{len(_SHARES)} accounts were expected, got {len(values['accounts'])}")
        found = cls()
        found.rows = values["rows"]
        found._accounts = [_Account(**one) for one in values["accounts"]]
        return found


def passes(log_evidence: float, alpha: float, number: int) -> bool:
    """Tell whether a test has found the competitor better.

    Args:
        log_evidence: Of `PairedTest`.
        alpha: Level of all tests of a model's life together.
        number: Of this one in that life, from 1.
    """
    return log_evidence >= needed(alpha, number)


def needed(alpha: float, number: int) -> float:
    """Return the log evidence from which on a test passes: the number-th has `alpha / (number (number + 1))` to spend.

    Those add up to alpha, so that it holds for all tests together.

    Raises:
        ValueError: The level is not in (0, 1), or the number below 1.
    """
    if not 0 < alpha < 1 or number < 1:
        raise ValueError(f"a level in (0, 1) and a number from 1 were expected, got {alpha!r} and {number!r}")
    return math.log(number * (number + 1) / alpha)
