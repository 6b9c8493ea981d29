"""Route and Plan: what routing answers, and what a method makes of it.

A Route says which LoRAs a prompt asks for and how strongly. A Plan says which LoRA is open how far, in each
denoising step and on each branch, and how the branches' predictions are averaged. Both are data: they can be
printed, drawn and edited by hand, and hold nothing of the stage that comes after.

Names are imported when they are first used: a Route needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lorafusion.plan.plan import Plan as Plan
    from lorafusion.plan.route import Candidate as Candidate
    from lorafusion.plan.route import Route as Route
    from lorafusion.plan.route import Source as Source

_HOMES = {"Candidate": "route", "Plan": "plan", "Route": "route", "Source": "route"}

__all__ = ["Candidate", "Plan", "Route", "Source"]


def __getattr__(name: str) -> object:
    """Import the home of a public name and remember the name (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
