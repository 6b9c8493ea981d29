"""The scenes that scorers learn from and are measured on: all classes, individuals, near siblings."""

from dataclasses import dataclass, field, replace

import numpy as np

from lorafusion.pocket import world
from lorafusion.pocket.world.looks import MARKINGS, Look
from lorafusion.pocket.world.variety import PAINTS

FIRST = 5_000_000_000
"""Seeds of scenes begin here; those of base, autoencoder and LoRAs all lie below."""
HELD_OUT = 6_000_000_000
"""Seeds of scenes that measure."""

RATES: dict[world.Category, float] = {
    "character": 0.92, "clothing": 0.62, "object": 0.62, "background": 0.75, "style": 0.6,
}  # fmt: skip
_INDIVIDUAL, _NEAR = 0.26, 0.14
"""How often an element is an individual, or like one in all but one respect."""

WORDS: dict[world.Category, tuple[str, ...]] = {
    category: tuple(kind.word for kind in world.KINDS.values() if kind.category == category)
    for category in world.CATEGORIES
}
"""All classes of a category, those included that the base never sees."""
NAMES: dict[world.Category, tuple[str, ...]] = {
    category: tuple(one.name for one in world.INDIVIDUALS.values() if one.category == category)
    for category in world.CATEGORIES
}
"""All individuals of a category."""

UNKNOWN = -1
"""A label that nothing is learned from."""


@dataclass(frozen=True)
class Near(world.Element):
    """A thing that is like an individual in all but one respect."""

    own: Look = field(kw_only=True)

    @property
    def look(self) -> Look:
        """Its own look."""
        return self.own


def scene(seed: int) -> world.Scene:
    """A scene of any elements, decided by its seed."""
    rng = np.random.default_rng([seed, 7])
    wanted: dict[world.Category, world.Element] = {}
    for category in world.CATEGORIES:
        element = _element(category, rng)
        if rng.random() < RATES[category]:
            wanted[category] = element
    if "character" not in wanted and "clothing" in wanted and "object" in wanted:
        del wanted["clothing" if rng.random() < 0.4 else "object"]
    return world.sample(seed, wanted, dict.fromkeys(world.CATEGORIES, 0.0))


def _element(category: world.Category, rng: np.random.Generator) -> world.Element:
    draw = rng.random()
    one = world.INDIVIDUALS[NAMES[category][int(rng.integers(len(NAMES[category])))]]
    if draw < _INDIVIDUAL:
        return world.Element(one.word, individual=True)
    if draw < _INDIVIDUAL + _NEAR and one.look is not None and not one.novel:
        return Near(one.word, own=_near(one.look, rng))
    word = WORDS[category][int(rng.integers(len(WORDS[category])))]
    painted = not world.KINDS[word].emoji
    return world.Element(
        word, int(rng.integers(1 << 20)), individual=painted and world.KINDS[word].novel
    )


def _near(look: Look, rng: np.random.Generator) -> Look:
    """The look with another marking, other colours, or another paint."""
    markings = [marking for marking in MARKINGS if marking != look.marking]
    marking = markings[int(rng.integers(len(markings)))]
    paint = PAINTS[int(rng.integers(len(PAINTS)))]
    far = sum(abs(a - b) for a, b in zip(paint, look.paint, strict=True)) > 150
    draw = rng.random()
    if look.marking == "plain" or draw < 0.4:
        return replace(look, marking=marking, paint=paint)
    if draw < 0.7 and far:
        return replace(look, paint=paint)
    return replace(look, turn=float(rng.uniform(70, 290)))


def labels(shown: world.Scene) -> tuple[list[int], list[int]]:
    """What is right for a scene.

    Returns:
        For each category the number of its class in WORDS and of its individual in NAMES, both
        counted from 1; 0 for none, UNKNOWN where the picture does not tell.
    """
    elements = shown.elements()
    classes, individuals = [], []
    for category in world.CATEGORIES:
        element = elements.get(category)
        classes.append(1 + WORDS[category].index(element.word) if element is not None else 0)
        individuals.append(_individual(category, element, "style" in elements))
    return classes, individuals


def _individual(category: world.Category, element: world.Element | None, styled: bool) -> int:
    if element is None:
        return 0
    if element.individual:
        named = (one.name for one in world.INDIVIDUALS.values() if one.word == element.word)
        return 1 + NAMES[category].index(next(named))
    # A novel class has no siblings, and a style may hide the one thing that is different.
    unclear = world.KINDS[element.word].novel or (isinstance(element, Near) and styled)
    return UNKNOWN if unclear else 0
