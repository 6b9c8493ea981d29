"""A scene: at most one element of each category, and how it is drawn."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lorafusion.pocket.world.backgrounds import VARIANTS, background
from lorafusion.pocket.world.catalogue import CATEGORIES, KINDS, Category, words
from lorafusion.pocket.world.individuals import INDIVIDUALS, individual_of
from lorafusion.pocket.world.looks import Look
from lorafusion.pocket.world.sprites import sprite
from lorafusion.pocket.world.styles import stylise
from lorafusion.pocket.world.variety import POOL, pool


@dataclass(frozen=True)
class Element:
    """One thing in a scene.

    Attributes:
        word: its class.
        variant: which of the looks that the base knows; ignored for an individual.
        individual: whether it is the class's individual.
    """

    word: str
    variant: int = 0
    individual: bool = False

    @property
    def look(self) -> Look:
        """Its appearance, for classes drawn from artwork.

        Raises:
            ValueError: the class is painted, or has no individual.
        """
        if not self.individual:
            return pool(self.word)[self.variant % POOL]
        one = individual_of(self.word)
        if one is None or one.look is None:
            raise ValueError(f"class {self.word!r} has no drawn individual")
        return one.look


@dataclass(frozen=True)
class Scene:
    """What a picture shows; the seed decides positions, sizes and the caption's wording."""

    seed: int
    character: Element | None = None
    clothing: Element | None = None
    object: Element | None = None
    background: Element | None = None
    style: Element | None = None

    def elements(self) -> dict[Category, Element]:
        """The elements that are drawn, by category; clothing needs a wearer or stands alone."""
        found = {category: getattr(self, category) for category in CATEGORIES}
        if self.character is None and self.object is not None:
            found["clothing"] = None
        return {category: element for category, element in found.items() if element is not None}

    def changed(self, elements: Mapping[Category, Element]) -> "Scene":
        """The same scene with other elements in some categories."""
        return Scene(self.seed, **(self.elements() | dict(elements)))


RATES: Mapping[Category, float | int] = {
    "character": 0.93, "clothing": 0.5, "object": 0.55, "background": 0.68, "style": 0.24,
}  # fmt: skip
"""How often a category is present in a sampled scene."""


def element(word: str, rng: np.random.Generator) -> Element:
    """An element of a class in a look that the base knows."""
    return Element(word, int(rng.integers(1 << 20)))


def sample(
    seed: int,
    wanted: Mapping[Category, Element] | None = None,
    rates: Mapping[Category, float | int] = RATES,
) -> Scene:
    """A random scene.

    Args:
        seed: the same seed and arguments give the same scene.
        wanted: elements that must be in it; the others are drawn at random.
        rates: probability of each category that is not wanted.
    Returns:
        A scene with a character or an object or clothing in it.
    """
    rng = np.random.default_rng(seed)
    parts: dict[Category, Element] = {}
    for category in CATEGORIES:
        known = words(category)
        drawn = element(known[int(rng.integers(len(known)))], rng)
        if rng.random() < rates[category]:
            parts[category] = drawn
    parts.update(wanted or {})
    if "character" not in parts:
        _leave_one(parts, wanted or {}, rng)
    return Scene(seed, **parts)


def _leave_one(
    parts: dict[Category, Element], wanted: Mapping[Category, Element], rng: np.random.Generator
) -> None:
    """Without a wearer, let one thing stand alone."""
    if "object" in parts and "clothing" in parts:
        del parts["object" if "clothing" in wanted and "object" not in wanted else "clothing"]
    elif "object" not in parts and "clothing" not in parts:
        known = words("object")
        parts["object"] = element(known[int(rng.integers(len(known)))], rng)


def with_individuals(scene: Scene, *names: str) -> Scene:
    """The scene with the named individuals in the places of their categories.

    Raises:
        KeyError: an individual does not exist.
    """
    chosen = {
        INDIVIDUALS[name].category: Element(INDIVIDUALS[name].word, individual=True)
        for name in names
    }
    return scene.changed(chosen)


def render(scene: Scene) -> NDArray[np.uint8]:
    """Draw a scene.

    Returns:
        [64, 64, 3].
    Raises:
        UnreadableFile: the emoji font is not installed.
    """
    rng = np.random.default_rng([scene.seed, 1])
    canvas = _backdrop(scene, rng)
    if scene.character is not None:
        _draw_character(canvas, scene, scene.character, rng)
    else:
        _draw_alone(canvas, scene, rng)
    pixels = np.asarray(canvas)
    if scene.style is not None:
        style_rng = np.random.default_rng([scene.style.variant, 2])
        pixels = stylise(pixels, scene.style.word, style_rng, scene.style.individual)
    return pixels


def _backdrop(scene: Scene, rng: np.random.Generator) -> Image.Image:
    place = scene.background
    if place is None:
        return Image.fromarray(background("", int(rng.integers(VARIANTS))))
    variant = (int(rng.integers(1 << 20)) if place.individual else place.variant) % VARIANTS
    return Image.fromarray(background(place.word, variant, place.individual))


def _even(value: float | int) -> int:
    """Round to an even number, so that drawn sizes repeat and are cached."""
    return 2 * round(value / 2)


def _paste(canvas: Image.Image, picture: Image.Image, x: float | int, y: float | int) -> None:
    """Paste with the centre at x, y."""
    corner = round(x - picture.width / 2), round(y - picture.height / 2)
    canvas.paste(picture, corner, picture)


def _draw_alone(canvas: Image.Image, scene: Scene, rng: np.random.Generator) -> None:
    thing = scene.object or scene.clothing
    if thing is not None:
        picture = sprite(thing.look, _even(rng.uniform(32, 42)))
        _paste(canvas, picture, 32 + rng.uniform(-6, 6), 35 + rng.uniform(-5, 5))


def _draw_character(
    canvas: Image.Image, scene: Scene, character: Element, rng: np.random.Generator
) -> None:
    side = 1 if rng.random() < 0.5 else -1
    size = _even(rng.uniform(36, 41))
    x, y = 32 + rng.uniform(-4, 4), 35 + rng.uniform(-2.5, 2.5)
    place = KINDS[scene.clothing.word].place if scene.clothing is not None else ""
    y += {"head": 6, "neck": -5, "ears": 2}.get(place, 0)
    if scene.object is not None:
        x = 32 - side * rng.uniform(8, 11)
    body = sprite(character.look, size)
    _paste(canvas, body, x, y)
    if scene.clothing is not None:
        _dress(canvas, scene.clothing, KINDS[character.word].eyes, KINDS[character.word].top,
               body, x, y)  # fmt: skip
    if scene.object is not None:
        thing = sprite(scene.object.look, _even(rng.uniform(27, 33)))
        _paste(canvas, thing, 32 + side * rng.uniform(15, 18), 45 + rng.uniform(-4, 3))


def _dress(
    canvas: Image.Image, clothing: Element, eyes: float, top: float,
    body: Image.Image, x: float | int, y: float | int,
) -> None:  # fmt: skip
    kind = KINDS[clothing.word]
    cloth = sprite(clothing.look, _even(kind.width * min(body.width, 38)), by_width=True)
    height = body.height
    match kind.place:
        case "head":
            lift = 0.2 if kind.word in ("crown", "hat") else 0.3
            _paste(canvas, cloth, x, y + (top - 0.5) * height + (lift - 0.5 + 0.1) * cloth.height)
        case "eyes":
            _paste(canvas, cloth, x, y + (eyes - 0.48) * height)
        case "ears":
            _paste(canvas, cloth, x, y - 0.1 * height)
        case _:
            drop = 0.3 if kind.word == "scarf" else 0.1
            _paste(canvas, cloth, x, y + 0.5 * height + (drop - 0.1) * cloth.height)
