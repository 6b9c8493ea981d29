"""Verdict: what a duel says about a claim, in a word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEVEL = 0.05


def verdict(duel: Mapping[str, Any]) -> str:
    """Whether the first method is better: "holds", "the reverse" or "open".

    Args:
        duel: `corrected`, the p-value after Holm's correction, and `difference`, first minus second.
    """
    if duel["corrected"] >= LEVEL:
        return "open"
    return "**holds**" if duel["difference"]["value"] > 0 else "**the reverse**"
