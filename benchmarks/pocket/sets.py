"""Sets: those of the testbed `pocket`, by whether the base knows the classes of their LoRAs."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Literal, TypeAlias

from lorafusion.evaluation.testbeds import Combination, Testbed, open_testbed
from lorafusion.evaluation.testbeds.pocket import SIZES, has_novel, individual

__all__ = ["KINDS", "SIZES", "drawn", "kind_of", "names_of", "seed", "words_of"]

Kind: TypeAlias = Literal["instance", "novel"]
KINDS: tuple[Kind, ...] = ("instance", "novel")


def drawn(size: int, kind: Kind, most: int) -> tuple[Combination, ...]:
    """Sets of one size and kind, as many as there are up to `most`; a smaller number takes some of a larger's."""
    bed = _bed()
    found = tuple(
        one for one in bed.combinations if len(one.elements) == size and kind_of(one) == kind
    )
    kept = replace(bed, combinations=found)
    return kept.drawn({size: min(most, len(found))}).combinations if most > 0 else ()


def kind_of(one: Combination) -> Kind:
    """Instance where the base knows all classes in other looks, novel where it does not."""
    return "novel" if has_novel(one) else "instance"


def names_of(one: Combination) -> tuple[str, ...]:
    """Its LoRAs."""
    return tuple(element.name for element in one.elements)


def words_of(one: Combination) -> dict[str, str]:
    """Name -> class word."""
    return {element.name: individual(element).word for element in one.elements}


def seed(one: Combination, number: int) -> int:
    """The seed of one of its pictures, the same for every method and order."""
    return _bed().seed(one, number)


@cache
def _bed() -> Testbed:
    return open_testbed("pocket")
