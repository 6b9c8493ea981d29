"""Pairs: of two images of one prompt, does a metric prefer the one that people prefer?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from lorafusion.evaluation.statistics.correlation import Values


@dataclass(frozen=True)
class Agreement:
    """How often a metric orders two images of one set as people do.

    Attributes:
        agreed: pairs that both order the same way.
        tied: pairs between which the metric does not decide.
        pairs: pairs between which people decide; those that people tie are no evidence either way.
    """

    agreed: int
    tied: int
    pairs: int

    @property
    def share(self) -> float | None:
        """Agreement from 0 to 1. A tie of the metric counts half, as a coin would; None without pairs."""
        return (self.agreed + self.tied / 2) / self.pairs if self.pairs else None


def agreement(metric: Values, people: Values, sets: Int[np.ndarray, " n"]) -> Agreement:
    """Over all pairs of images within each set.

    Args:
        metric: [n] what the metric says of each image.
        people: [n] what people say of it.
        sets: [n] number of the set that each image belongs to.
    """
    first, second = np.nonzero(np.triu(sets[:, None] == sets[None, :], k=1))
    theirs = np.sign(people[first] - people[second])
    ours = np.sign(metric[first] - metric[second])[theirs != 0]
    theirs = theirs[theirs != 0]
    return Agreement(int((ours == theirs).sum()), int((ours == 0).sum()), len(theirs))
