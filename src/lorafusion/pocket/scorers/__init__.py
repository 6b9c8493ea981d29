"""Scorers of pocket: small networks that say what a picture shows, with known accuracy.

They are independent of the base, of its LoRAs and of the routers: other seeds, other data, other
architectures. How good they are is in ``benchmarks/results/pocket-scorers.json``.
"""

from lorafusion.pocket.scorers.clip import Clip
from lorafusion.pocket.scorers.detector import Detector
from lorafusion.pocket.scorers.identity import Identity
from lorafusion.pocket.scorers.naturalness import Naturalness

__all__ = ["Clip", "Detector", "Identity", "Naturalness"]
