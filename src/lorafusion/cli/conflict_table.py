"""How LoRAs stand to each other, as JSON and as a table: for ``explain`` and ``library doctor``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from lorafusion.cli import show
from lorafusion.cli.columns import columns, one_line

if TYPE_CHECKING:
    from lorafusion.lora import LoRA

CONTESTS = 5
"""Weights that a pair wants most, as many as are told."""

TITLES = ("LoRAs", "shared", "cosine", "same inputs", "same outputs", "imbalance", "most")


def compared(loras: Sequence[LoRA]) -> dict[str, Any]:
    """Each pair of LoRAs, the factors that would make their strengths equal, and clashing triggers."""
    from lorafusion.doctor import clashes, compare, effect, equalising

    pairs = [compare(one, other) for one, other in combinations(loras, 2)]
    norms = {lora.name: effect(lora).norm for lora in loras}
    return {
        "conflicts": [
            {
                "names": list(pair.names),
                "shared": pair.shared,
                "cosine": pair.cosine,
                "reading": pair.reading,
                "writing": pair.writing,
                "wanted": pair.wanted,
                "imbalance": pair.imbalance if math.isfinite(pair.imbalance) else None,
                "contests": [vars(contest) for contest in pair.contests[:CONTESTS]],
            }
            for pair in pairs
        ],
        "equalising": equalising({name: norm for name, norm in norms.items() if norm}),
        "clashes": {w: list(o) for w, o in clashes({x.name: x.triggers for x in loras}).items()},
    }


def tell(found: dict[str, Any]) -> None:
    """Print what `compared` found."""
    if not found["conflicts"]:
        show.line("Fewer than two LoRAs were chosen: nothing is in conflict.")
        return
    columns(TITLES, [_pair(pair) for pair in found["conflicts"]])
    for name, factor in found["equalising"].items():
        show.line(one_line(f"for equal strength, multiply the weight of {name} by {factor:.3g}"))
    clashes(found["clashes"])


def clashes(found: dict[str, list[str]]) -> None:
    """Print the trigger words that several LoRAs have."""
    for word, owners in found.items():
        show.line(one_line(f"trigger {word!r} belongs to: {', '.join(owners)}"))


def _pair(pair: dict[str, Any]) -> tuple[str, ...]:
    most = pair["contests"][0]["path"] if pair["contests"] else ""
    imbalance = pair["imbalance"]
    return (
        " + ".join(pair["names"]),
        str(pair["shared"]),
        f"{pair['cosine']:+.3f}",
        f"{pair['reading']:.3f}",
        f"{pair['writing']:.3f}",
        "one is empty" if imbalance is None else f"{imbalance:.3g}",
        most,
    )
