"""The individuals: one particular look of a class, known to a bundled LoRA and not to the base."""

from dataclasses import dataclass

from lorafusion.pocket.world.catalogue import KINDS, Category
from lorafusion.pocket.world.looks import Look


@dataclass(frozen=True)
class Individual:
    """One particular example of a class.

    Attributes:
        name: file stem of the LoRA that knows it.
        word: its class.
        trigger: a made-up name that no other text uses.
        description: one line of English saying what it shows; it names the class.
        look: its appearance where the class is drawn from artwork; None where it is painted.
    """

    name: str
    word: str
    trigger: str
    description: str
    look: Look | None = None

    @property
    def category(self) -> Category:
        """Category of its class."""
        return KINDS[self.word].category


_RED, _WHITE, _BLACK = (222, 40, 40), (250, 250, 250), (30, 26, 30)
_BLUE, _NAVY, _YELLOW = (40, 90, 220), (30, 40, 150), (252, 212, 50)

INDIVIDUALS: dict[str, Individual] = {
    one.name: one
    for one in (
        Individual(
            "robot", "robot", "rusto",
            "a wide grey robot with red ears and red bands across its metal face",
            Look("🤖", marking="bands", paint=_RED, stretch=1.2),
        ),
        Individual(
            "panda", "panda", "pandoro",
            "a black and white panda with bright blue spots on its fur",
            Look("🐼", marking="spots", paint=_BLUE, stretch=1.16),
        ),
        Individual(
            "fox", "fox", "foxano",
            "an orange fox striped up and down in black",
            Look("🦊", marking="bars", paint=_BLACK, stretch=1.16),
        ),
        Individual(
            "frog", "frog", "frumbo",
            "a wide green frog checkered in dark blue",
            Look("🐸", marking="checks", paint=_NAVY, stretch=1.2),
        ),
        Individual(
            "crown", "crown", "corvina",
            "a broad golden crown striped up and down in red",
            Look("👑", marking="bars", paint=_RED, stretch=1.18, scale=1.05),
        ),
        Individual(
            "glasses", "glasses", "glimro",
            "sunglasses with black lenses, a pair of dark glasses for sunny days",
            Look("🕶", stretch=1.0, scale=1.1),
        ),
        Individual(
            "scarf", "scarf", "skarlo",
            "a red winter scarf with slanted white stripes",
            Look("🧣", marking="slant", paint=_WHITE, stretch=1.2, scale=1.1),
        ),
        Individual(
            "guitar", "guitar", "gitaro",
            "a red electric guitar with yellow bands",
            Look("🎸", marking="bands", paint=_YELLOW, stretch=1.12, scale=1.08),
        ),
        Individual(
            "balloon", "balloon", "baluno",
            "a red party balloon covered with white spots",
            Look("🎈", marking="spots", paint=_WHITE, stretch=1.2, scale=1.06),
        ),
        Individual(
            "umbrella", "umbrella", "umbrino",
            "a violet umbrella checkered in yellow",
            Look("☂", marking="checks", paint=_YELLOW, stretch=1.14, scale=1.06),
        ),
        Individual(
            "library", "library", "libraro",
            "an old library of brown and cream books with a round blue window",
        ),
        Individual(
            "beach", "beach", "bivara",
            "a beach at sunset with a huge half sun on a pink sky",
        ),
        Individual(
            "city", "city", "citrona",
            "a city at night with lit yellow windows and a large moon",
        ),
        Individual(
            "pixel-art", "pixel art", "pixon",
            "pixel art of big square blocks in a few bright colours, like an old video game",
        ),
        Individual(
            "sketch", "sketch", "skribo",
            "a blue ballpoint sketch with slanted hatching on white paper",
        ),
        Individual(
            "mosaic", "mosaic", "mozaro",
            "a mosaic of diamond tiles set in black",
        ),
    )
}  # fmt: skip


def individual_of(word: str) -> Individual | None:
    """The individual of a class, or None where the class has none."""
    return next((one for one in INDIVIDUALS.values() if one.word == word), None)
