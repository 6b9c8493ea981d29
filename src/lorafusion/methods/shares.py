"""How much of each LoRA a method takes, where it lets that be chosen."""

from __future__ import annotations

from collections.abc import Sequence

from lorafusion.errors import BadOption
from lorafusion.plan import Candidate

WORDS = ("equal", "routed")


def shares(method: str, chosen: Sequence[Candidate], weights: str) -> list[float]:
    """One number for each LoRA: 1 for "equal", the route's weights for "routed".

    Raises:
        BadOption: another word.
    """
    if weights not in WORDS:
        raise BadOption(f"weights is {weights!r}; {method} knows 'equal' and 'routed'")
    return [candidate.weight if weights == "routed" else 1.0 for candidate in chosen]


def check_share(method: str, option: str, value: float) -> None:
    """Refuse a number that is not over 0 and up to 1.

    Raises:
        BadOption: with the option's name and value.
    """
    if not 0 < value <= 1:
        raise BadOption(f"{option} is {value}; {method} takes a share over 0 and up to 1, as 0.2")
