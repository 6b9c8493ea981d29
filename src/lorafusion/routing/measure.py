"""Measure: the calibration of an encoder, from the probes that come along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lorafusion.library.described import Described
from lorafusion.library.keys import Encoder
from lorafusion.routing.calibration import Calibration, fitted, probes
from lorafusion.routing.keyring import Keyring


@dataclass(frozen=True)
class Measured:
    """What an encoder can tell apart.

    Attributes:
        calibration: where it says yes, and how sharply.
        found: share of the askings that are above the threshold.
        best: share of the askings that fit their own thing better than any other.
        pairs: number of probes.
    """

    calibration: Calibration
    found: float
    best: float
    pairs: int


def measure(encoder: Encoder) -> Measured:
    """Ask for each probe in other words, and see how well it is told from the others."""
    pairs = probes()
    ring = Keyring([Described(thing, "", thing, ()) for thing, _ in pairs], encoder)
    scores = ring.scores([asking.casefold() for _, asking in pairs])[0]
    calibration = fitted(scores)
    found = float((scores.diagonal() >= calibration.threshold).mean())
    best = float((scores.argmax(1) == np.arange(len(pairs))).mean())
    return Measured(calibration, found, best, len(pairs))
