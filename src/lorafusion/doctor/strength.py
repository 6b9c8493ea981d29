"""Strength: factors that make a weight mean the same for LoRAs of different size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median

from lorafusion.errors import BadOption


def equalising(norms: Mapping[str, float], to: float | None = None) -> dict[str, float]:
    """Name -> the factor on its weight at which its change has the norm `to`.

    One LoRA may be trained to ten times the norm of another, and then drowns it at equal weights.
    A norm is no measure of what an eye sees, so that this is a choice and never done by itself.

    Args:
        norms: name -> norm of the LoRA's change at weight 1 (`Effect.norm`).
        to: the norm that all get; the median of `norms` unless given.

    Raises:
        BadOption: a norm or `to` is not a positive number.
    """
    for name, norm in {**norms, **({"to": to} if to is not None else {})}.items():
        if not 0 < norm < math.inf:
            raise BadOption(f"the norm of {name!r} is {norm}; only positive ones can be made equal")
    wanted = median(norms.values()) if to is None and norms else to
    return {name: wanted / norm for name, norm in norms.items()} if wanted else {}
