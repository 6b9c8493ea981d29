"""What a caption says about a scene: every element by its class word, and nothing else."""

from typing import TypeAlias

import numpy as np

from lorafusion.pocket.world.catalogue import KINDS
from lorafusion.pocket.world.individuals import individual_of
from lorafusion.pocket.world.scene import Element, Scene

Random: TypeAlias = np.random.Generator

_OPENINGS = (
    "a photo of ", "a picture of ", "an image of ", "a drawing of ", "a portrait of ",
    "there is ", "this is ", "a cute picture of ", "a scene with ",
)  # fmt: skip
_WEARING = ("wearing", "wearing", "who wears", "dressed in", "with")
_HOLDING = ("with", "with", "holding", "and", "next to", "beside")
_PLURAL = frozenset({"glasses", "headphones"})


def caption(scene: Scene, variant: int = 0, named: float | int = 0.5) -> str:
    """One of the many sentences that say what a scene shows.

    Args:
        scene: the scene.
        variant: which sentence; the same scene and variant give the same sentence.
        named: probability that an individual is called by its trigger and class, not class alone.
    Returns:
        Lower-case English.
    """
    rng = np.random.default_rng([scene.seed, variant, 3])
    form = rng.random()
    if form < 0.15:
        return _listed(scene, named, rng)
    text = _sentence(scene, named, rng)
    if form < 0.27:
        text = " ".join(word for word in text.split() if word not in ("a", "an", "the"))
    return text


def _name(element: Element, named: float | int, rng: Random) -> str:
    one = individual_of(element.word) if element.individual else None
    called = rng.random() < named
    return f"{one.trigger} {element.word}" if one is not None and called else element.word


def _some(element: Element, named: float | int, rng: Random) -> str:
    """The element's name with its article."""
    name = _name(element, named, rng)
    if element.word in _PLURAL:
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _pick(options: tuple[str, ...], rng: Random) -> str:
    return options[int(rng.integers(len(options)))]


def _listed(scene: Scene, named: float | int, rng: Random) -> str:
    names = [_name(element, named, rng) for element in scene.elements().values()]
    rng.shuffle(names)
    return ", ".join(names)


def _sentence(scene: Scene, named: float | int, rng: Random) -> str:
    text = _subject(scene, named, rng)
    if scene.background is not None:
        place = _place(scene.background, named, rng)
        first = rng.random() < 0.12
        text = f"{place.removeprefix(', ')}, {text}" if first else f"{text} {place}"
    if scene.style is not None:
        return _styled(text, _name(scene.style, named, rng), rng)
    if rng.random() < 0.4:
        text = _pick(_OPENINGS, rng) + text
    return text


def _subject(scene: Scene, named: float | int, rng: Random) -> str:
    if scene.character is None:
        thing = scene.object or scene.clothing
        return _some(thing, named, rng) if thing is not None else "nothing"
    clauses: list[str] = []
    if scene.clothing is not None:
        clauses.append(f"{_pick(_WEARING, rng)} {_some(scene.clothing, named, rng)}")
    if scene.object is not None:
        clauses.append(f"{_pick(_HOLDING, rng)} {_some(scene.object, named, rng)}")
    if rng.random() < 0.5:
        clauses.reverse()
    joint = " and " if len(clauses) == 2 and not clauses[1].startswith("and ") else " "
    joint = joint if rng.random() < 0.4 else " "
    return f"{_some(scene.character, named, rng)} {joint.join(clauses)}".strip()


def _place(background: Element, named: float | int, rng: Random) -> str:
    name = _name(background, named, rng)
    phrase = KINDS[background.word].phrase.replace(background.word, name)
    if rng.random() < 0.2:
        article = "an" if name[0] in "aeiou" else "a"
        return _pick((f"with {article} {name} in the background", f", {name} background"), rng)
    return phrase


def _styled(text: str, style: str, rng: Random) -> str:
    article = "an" if style[0] in "aeiou" else "a"
    forms = (
        f"{text}, {style}",
        f"{text}, {style} style",
        f"{text} in {style} style",
        f"{style} of {text}",
        f"{article} {style} of {text}",
        f"{article} {style} picture of {text}",
    )
    return _pick(forms, rng)
