"""What of each bundled LoRA a shift of the base's singular values can say: the kept energy."""

from __future__ import annotations

from benchmarks.methods.draw import Studio
from lorafusion.methods.svdiff import KEPT, svdiff
from lorafusion.plan import Candidate


def kept(studio: Studio) -> dict[str, float]:
    """LoRA -> share of its energy that the projection keeps, 0 to 1."""
    found = {}
    for entry in studio.library:
        plan = svdiff([Candidate(entry, 1.0, 1.0)], [entry.load()], 1, base=studio.base)
        found[entry.name] = float(plan.loras[0].metadata[KEPT])
    return found
