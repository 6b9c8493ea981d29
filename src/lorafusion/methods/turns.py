"""Turns: in which order LoRAs take them, and the gates that follow from who has which step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lorafusion.errors import BadOption, UnknownName
from lorafusion.plan import Candidate
from lorafusion.registry import unknown

CATEGORIES = ("character", "clothing", "style", "background", "object")
"""The order of the published code of arXiv:2402.16843; LoRAs of no category come last."""

ORDERS = ("character", "category", "style", "weight", "route", "reverse")


def in_order(chosen: Sequence[Candidate], order: str) -> list[int]:
    """The indices of the LoRAs in the order in which they act.

    Args:
        chosen: the LoRAs in the order of the route.
        order: "character": characters first, else the route's; "category": by `CATEGORIES`;
            "style": styles first; "weight": by falling weight; "route"; "reverse": the route from its
            end; or all the LoRAs' names, separated by commas.

    Raises:
        BadOption: another word, or names that are not those of all LoRAs once each.
        UnknownName: a name that no LoRA has.
    """
    places = range(len(chosen))
    category = [candidate.source.category for candidate in chosen]
    if order in ("character", "style"):
        return sorted(places, key=lambda i: category[i] != order)
    if order == "category":
        return sorted(places, key=lambda i: _place(category[i]))
    if order == "weight":
        return sorted(places, key=lambda i: -chosen[i].weight)
    if order in ("route", "reverse"):
        return list(places if order == "route" else reversed(places))
    return _named(chosen, order)


def _place(category: str) -> int:
    return CATEGORIES.index(category) if category in CATEGORIES else len(CATEGORIES)


def _named(chosen: Sequence[Candidate], order: str) -> list[int]:
    if "," not in order and order not in {candidate.name for candidate in chosen}:
        raise BadOption(
            f"order is {order!r}; give one of {', '.join(ORDERS)}, or LoRAs by name: a,b,c"
        )
    names = [name.strip() for name in order.split(",")]
    known = [candidate.name for candidate in chosen]
    for name in names:
        if known and name not in known:
            raise UnknownName(unknown("LoRA", name, known))
    if known and sorted(names) != sorted(known):
        raise BadOption(f"order is {order!r}; name each of {', '.join(known)} once")
    return [known.index(name) for name in names] if known else []


def one_at_a_time(turns: Sequence[int], count: int) -> Float[Tensor, "s 1 l"]:
    """Gates that open LoRA turns[s] fully in step s, and no other: [S, 1, L]."""
    return functional.one_hot(torch.tensor(list(turns)), count).unsqueeze(1).float()


def round_robin(order: Sequence[int], lengths: Sequence[int], steps: int) -> list[int]:
    """Who has each of the S steps, when LoRA order[k] keeps it for lengths[k] steps a turn."""
    turn = [lora for lora, length in zip(order, lengths, strict=True) for _ in range(length)]
    return [turn[step % len(turn)] for step in range(steps)]
