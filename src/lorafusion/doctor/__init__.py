"""What LoRAs do to a model and to each other, computed in low rank."""

from __future__ import annotations

from lorafusion.doctor.conflicts import Contest, Pair, compare
from lorafusion.doctor.effect import Effect, effect, relative
from lorafusion.doctor.factors import Factors, factors
from lorafusion.doctor.strength import equalising
from lorafusion.doctor.triggers import clashes

__all__ = [
    "Contest",
    "Effect",
    "Factors",
    "Pair",
    "clashes",
    "compare",
    "effect",
    "equalising",
    "factors",
    "relative",
]
