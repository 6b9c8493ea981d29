"""Effects: what each phrase of a prompt does, found by leaving it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lorafusion.plan import Route
from lorafusion.routing.reading import phrases_of


@dataclass(frozen=True)
class Effect:
    """How the route changes without one phrase.

    Attributes:
        phrase: the words that were left out, as the prompt writes them.
        changes: name of a LoRA -> its weight with the phrase minus its weight without; only changes.
    """

    phrase: str
    changes: dict[str, float]


def effects(route: Route, again: Callable[[str], Route]) -> list[Effect]:
    """Leave out one phrase of the prompt after the other, and route what remains.

    Args:
        route: of the whole prompt.
        again: routes a text as `route` was, without tags.
    """
    found = []
    pins = {one.name for one in route.chosen if one.pinned}  # no phrase changes their weights
    asked = frozenset(one.phrase.casefold() for one in route.chosen)  # by "sketch" alone, too
    for span in phrases_of(route.text, asked):
        rest = f"{route.text[: span.start]} {route.text[span.end :]}"
        without = again(rest).weights if rest.strip() else {}
        names = [n for n in dict.fromkeys((*route.weights, *without)) if n not in pins]
        changes = {name: route.weights.get(name, 0.0) - without.get(name, 0.0) for name in names}
        found.append(Effect(span.text, {n: c for n, c in changes.items() if abs(c) > LEAST}))
    return found


LEAST = 0.01
"""Smaller changes of a weight are not told."""
