"""Route and Plan: what routing answers, and what a method makes of it.

A Route says which LoRAs a prompt asks for and how strongly. A Plan says which LoRA is open how far, in each
denoising step and on each branch, and how the branches' predictions are averaged. Both are data: they can be
printed, drawn and edited by hand, and hold nothing of the stage that comes after.

Names are imported when they are first used: a Route needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lorafusion.lazy import imported

if TYPE_CHECKING:
    from lorafusion.plan.plan import Plan as Plan
    from lorafusion.plan.route import Candidate as Candidate
    from lorafusion.plan.route import Candidates as Candidates
    from lorafusion.plan.route import Route as Route
    from lorafusion.plan.route import Source as Source

_HOMES = {
    "Candidate": "route",
    "Candidates": "route",
    "Plan": "plan",
    "Route": "route",
    "Source": "route",
}

__all__ = ["Candidate", "Candidates", "Plan", "Route", "Source"]

__getattr__ = imported(__name__, _HOMES)
