"""Calibration: from which score on a phrase asks for a LoRA, for one encoder."""

from __future__ import annotations

from dataclasses import dataclass

from lorafusion.library.keys import Encoder


@dataclass(frozen=True)
class Calibration:
    """The null key, and how fast certainty grows beyond it.

    Attributes:
        threshold: score of the null key; a phrase asks for a LoRA that fits it better than this.
        slope: score by which the odds grow e-fold.
    """

    threshold: float
    slope: float


DEFAULT = Calibration(threshold=5.5, slope=0.8)
"""For minilm, and for any encoder until `library calibrate` has measured it."""


def calibration_of(encoder: Encoder) -> Calibration:
    """What was measured for this encoder, else the default."""
    return DEFAULT
