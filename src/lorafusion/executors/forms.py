"""What the exact forms of one layer cost, in multiply-adds, and which is the cheapest.

A side path costs tokens · rank · (columns + out), where columns is in · kernel. Forming W0 + delta in
a scratch weight costs columns · out · rank, whatever the tokens, and then nothing. So the scratch wins
when the tokens of one mixture exceed about columns · out / (columns + out), whatever the rank and the
number of LoRAs.
"""

from __future__ import annotations

from dataclasses import dataclass

THIN = 1.3
"""How much longer a multiply-add takes in products with one thin side, beside those that fold."""
PASS = 16
"""Multiply-adds in the time in which one number of a weight is read and written again."""
TOUCH = 4
"""The same for one number of an output that is still in the cache."""
LAUNCH = 250_000
"""Multiply-adds in the time of one call into torch."""


@dataclass(frozen=True)
class Sizes:
    """One layer as a matrix.

    Attributes:
        columns: in · kernel.
        out: rows.
    """

    columns: int
    out: int

    def side(self, tokens: int, rank: int) -> float:
        """A side path for so many tokens."""
        work = THIN * tokens * rank * (self.columns + self.out)
        return work + TOUCH * tokens * self.out + 3 * LAUNCH

    def fold(self, rank: int) -> float:
        """W0 + delta in a scratch weight."""
        return float(self.columns * self.out * (rank + PASS) + 2 * LAUNCH)
