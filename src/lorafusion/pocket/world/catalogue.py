"""What the pocket world contains: every class of the five categories, by its English word."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Category: TypeAlias = Literal["character", "clothing", "object", "background", "style"]
CATEGORIES: tuple[Category, ...] = get_args(Category)

Place: TypeAlias = Literal["head", "eyes", "ears", "neck", "side", ""]


@dataclass(frozen=True)
class Kind:
    """One class: the word prompts use, its artwork, and where it sits in a scene.

    Attributes:
        word: the class in English, as it stands in a caption.
        category: one of the five categories.
        emoji: characters whose artwork shows the class; empty for painted classes.
        eyes: height of the eye line as a fraction of the artwork (characters only).
        top: height of the top of the head as a fraction of the artwork (characters only).
        place: where it is worn or held.
        width: width in units of the character's width (clothing only).
        phrase: how a sentence places it, for instance "at the beach" (backgrounds only).
        novel: whether the base never sees it, so that only a LoRA knows the class at all.
    """

    word: str
    category: Category
    emoji: tuple[str, ...] = ()
    eyes: float = 0.5
    top: float = 0.0
    place: Place = ""
    width: float = 1.0
    phrase: str = ""
    novel: bool = False


def _characters() -> list[Kind]:
    rows: list[tuple[str, str, float, float]] = [
        ("robot", "🤖", 0.51, 0.22),
        ("cat", "🐱😺", 0.48, 0.14),
        ("dog", "🐶", 0.42, 0.02),
        ("panda", "🐼", 0.52, 0.06),
        ("lion", "🦁", 0.45, 0.08),
        ("frog", "🐸", 0.22, 0.06),
        ("pig", "🐷", 0.40, 0.06),
        ("rabbit", "🐰", 0.60, 0.40),
        ("fox", "🦊", 0.58, 0.26),
        ("monkey", "🐵", 0.42, 0.02),
        ("alien", "👽", 0.55, 0.02),
        ("bear", "🐻", 0.45, 0.08),
    ]
    return [
        Kind(word, "character", tuple(emoji), eyes=eyes, top=top) for word, emoji, eyes, top in rows
    ]


def _clothing() -> list[Kind]:
    rows: list[tuple[str, str, Place, float]] = [
        ("crown", "👑", "head", 0.78),
        ("hat", "🎩", "head", 0.80),
        ("cap", "🧢", "head", 0.80),
        ("helmet", "⛑", "head", 0.80),
        ("glasses", "👓", "eyes", 0.92),
        ("headphones", "🎧", "ears", 1.26),
        ("scarf", "🧣", "neck", 0.56),
        ("bow", "🎀", "neck", 0.62),
    ]
    return [
        Kind(word, "clothing", tuple(emoji), place=place, width=width)
        for word, emoji, place, width in rows
    ]


def _objects() -> list[Kind]:
    rows = {
        "guitar": "🎸", "balloon": "🎈", "umbrella": "☂", "ball": "🏀⚽🏐", "apple": "🍎🍏",
        "gift": "🎁", "book": "📕📘", "flower": "🌻🌷🌼", "cake": "🎂🍰", "mushroom": "🍄",
    }  # fmt: skip
    return [Kind(word, "object", tuple(emoji), place="side") for word, emoji in rows.items()]


def _backgrounds() -> list[Kind]:
    rows = {
        "library": "in a library", "beach": "at the beach", "forest": "in a forest",
        "city": "in the city", "desert": "in a desert", "snow": "in the snow",
        "space": "in space", "sea": "under the sea",
    }  # fmt: skip
    return [Kind(word, "background", phrase=phrase) for word, phrase in rows.items()]


STYLE_WORDS = ("pixel art", "sketch", "mosaic", "watercolor", "poster", "comic", "halftone")


def _novel() -> list[Kind]:
    """Classes that no picture of the base's data shows and no caption of it names."""
    return [
        Kind("octopus", "character", ("🐙",), eyes=0.42, top=0.04, novel=True),
        Kind("owl", "character", ("🦉",), eyes=0.28, top=0.04, novel=True),
        Kind("goggles", "clothing", ("🥽",), place="eyes", width=0.86, novel=True),
        Kind("sunhat", "clothing", ("👒",), place="head", width=1.0, novel=True),
        Kind("rocket", "object", ("🚀",), place="side", novel=True),
        Kind("trophy", "object", ("🏆",), place="side", novel=True),
        Kind("volcano", "background", phrase="on a volcano", novel=True),
        Kind("blueprint", "style", novel=True),
    ]


KINDS: dict[str, Kind] = {
    kind.word: kind
    for kind in (
        *_characters(),
        *_clothing(),
        *_objects(),
        *_backgrounds(),
        *(Kind(word, "style") for word in STYLE_WORDS),
        *_novel(),
    )
}


def words(category: Category) -> tuple[str, ...]:
    """The class words of one category that the base knows, in catalogue order."""
    return tuple(
        kind.word for kind in KINDS.values() if kind.category == category and not kind.novel
    )
