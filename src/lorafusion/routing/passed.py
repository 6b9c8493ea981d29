"""PassedOver: the LoRAs that a prompt does not ask for, and why, for whoever wants to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lorafusion.plan import Candidate, Source


@dataclass(frozen=True, eq=False)
class PassedOver:
    """What becomes of n LoRAs, but for those that were chosen.

    Attributes:
        entries: the LoRAs.
        ranks: their places by name, [n].
        scores: how well each fits, [n].
        threshold: what it would have had to reach.
        heard: index -> what became of it, for those that some phrase asks for or denies.
    """

    entries: Sequence[Source]
    ranks: Int[np.ndarray, " n"]
    scores: Float[np.ndarray, " n"]
    threshold: float
    heard: Mapping[int, Candidate]

    def __call__(self) -> list[Candidate]:
        """Those that were left out, by falling score; equal scores by name.

        There are thousands: nothing is done twice for one of them.
        """
        scores, left = self.scores.copy(), np.ones(len(self.scores), bool)
        for i, one in self.heard.items():
            scores[i], left[i] = one.score, bool(one.left_out)
        order = np.lexsort((self.ranks, -scores))
        order = order[left[order]]
        values, under = scores[order].tolist(), f" < {self.threshold:.1f}"
        behind = np.minimum(scores[order] - self.threshold, 0.0).tolist()
        reasons = [f"no phrase asks for it, {value:.1f}{under}" for value in values]
        places = order.tolist()
        entries = [self.entries[i] for i in places]
        found = list(map(Candidate.passed_over, entries, values, reasons, behind))
        for i, one in self.heard.items():
            if one.left_out:
                found[places.index(i)] = one  # they are among the first
        return found
