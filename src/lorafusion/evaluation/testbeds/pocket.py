"""Pocket's testbed: the protocol of ComposLoRA on the LoRAs that come with the package.

What each LoRA shows is known exactly, since the pocket world drew what it was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from lorafusion import pocket
from lorafusion.evaluation.testbeds.sets import ORDER, by_category, crowded_sets_of, sets_of
from lorafusion.evaluation.testbeds.testbed import Combination, Element, Setting, Testbed
from lorafusion.library import Library
from lorafusion.pocket.world import INDIVIDUALS, KINDS

SIZES = (2, 3, 4, 5)
CROWDED = (6, 7, 8)
COMPOSLORA = {2: 48, 3: 144, 4: 192, 5: 96}
"""How many sets of each size ComposLoRA has."""
STEPS = 20


def everything() -> Testbed:
    """All sets of 2 to 5 with one character and distinct categories."""
    return _testbed("pocket", sets_of, SIZES)


def as_composlora() -> Testbed:
    """As many sets of each size as ComposLoRA has: 480, drawn from all."""
    return everything().drawn(COMPOSLORA)


def crowded() -> Testbed:
    """Sets of 6 to 8: two characters, then also two objects, then also two pieces of clothing.

    There are tens of thousands; each size is drawn down to as many sets as ComposLoRA has of five.
    """
    whole = _testbed("pocket-crowded", crowded_sets_of, CROWDED)
    most = COMPOSLORA[max(COMPOSLORA)]
    return whole.drawn({size: min(most, count) for size, count in whole.sizes.items()})


def elements() -> list[Element]:
    """The bundled LoRAs, by name.

    Raises:
        UnreadableFile, EmptyLibrary: the weights were not installed with the package.
    """
    folder = pocket.loras()
    return [
        Element(
            name=entry.name,
            file=entry.path.relative_to(folder).as_posix(),
            category=entry.category,
            title=INDIVIDUALS[entry.name].description if entry.name in INDIVIDUALS else entry.text,
            words=entry.triggers or (entry.name,),
        )
        for entry in Library(folder)
        if entry.category in ORDER
    ]


def sentence(chosen: Sequence[Element]) -> str:
    """One sentence that asks for all of them, each by its trigger words.

    "a rusto robot wearing a corvina crown with a gitaro guitar in a libraro library, skribo sketch style"
    """
    groups = by_category(chosen)
    parts = [" and ".join(map(_some, groups.get("character", ())))]
    for category, joint in (("clothing", "wearing"), ("object", "with")):
        if category in groups:
            parts.append(f"{joint} {' and '.join(map(_some, groups[category]))}")
    parts += [_place(element) for element in groups.get("background", ())]
    text = " ".join(part for part in parts if part)
    return ", ".join([text, *(f"{one.words[0]} style" for one in groups.get("style", ()))])


def _testbed(
    name: str,
    rule: Callable[[Sequence[Element], Sequence[int]], Iterable[tuple[Element, ...]]],
    sizes: Sequence[int],
) -> Testbed:
    combinations = tuple(
        Combination("-".join(one.name for one in chosen), "pocket", chosen, sentence(chosen))
        for chosen in rule(elements(), sizes)
    )
    setting = Setting(steps=STEPS, guidance_scale=pocket.GUIDANCE)
    return Testbed(name, {"pocket": setting}, combinations, source="the bundled LoRAs")


def _some(element: Element) -> str:
    """The words with their article."""
    words = element.words[0]
    if _word(element).endswith("s"):  # glasses, headphones
        return words
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _place(element: Element) -> str:
    word = _word(element)
    phrase = KINDS[word].phrase if word in KINDS else f"in a {word}"
    return phrase.replace(word, element.words[0])


def _word(element: Element) -> str:
    """The class that a bundled LoRA belongs to."""
    one = INDIVIDUALS.get(element.name)
    return one.word if one is not None else element.words[0]
