"""The individuals: one particular look of a class, known to a bundled LoRA and not to the base.

Most are of a class that the base knows in other looks, as in DreamBooth; of a *novel* class the base knows nothing.
"""

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

    @property
    def novel(self) -> bool:
        """Whether the base does not know its class."""
        return KINDS[self.word].novel


_RED, _WHITE, _BLACK = (222, 40, 40), (250, 250, 250), (30, 26, 30)
_BLUE, _YELLOW = (40, 90, 220), (252, 212, 50)

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
            "an orange fox with black tiger bands",
            Look("🦊", marking="bands", paint=_BLACK, stretch=1.16),
        ),
        Individual(
            "frog", "frog", "frumbo",
            "a wide green frog with red spots",
            Look("🐸", marking="spots", paint=_RED, stretch=1.2),
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
            "a violet umbrella with yellow panels",
            Look("☂", marking="bars", paint=_YELLOW, stretch=1.14, scale=1.06),
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
            "pixel art in a few bright colours, like an old video game",
        ),
        Individual(
            "sketch", "sketch", "skribo",
            "a blue ballpoint sketch, hatched where it is dark, on white paper",
        ),
        Individual(
            "mosaic", "mosaic", "mozaro",
            "a mosaic of diamond tiles set in black",
        ),
        Individual(
            "octopus", "octopus", "oktavo", "a coral octopus with curled arms", Look("🐙"),
        ),
        Individual(
            "owl", "owl", "olwino", "a brown owl with large round eyes and spread wings", Look("🦉"),
        ),
        Individual(
            "goggles", "goggles", "gogelo", "clear diving goggles with a dark strap", Look("🥽"),
        ),
        Individual(
            "sunhat", "sunhat", "sunaro", "a straw sunhat with a ribbon round its brim", Look("👒"),
        ),
        Individual(
            "rocket", "rocket", "rokelo", "a white space rocket with red fins and a flame", Look("🚀"),
        ),
        Individual(
            "trophy", "trophy", "trofano", "a golden trophy cup with two handles", Look("🏆"),
        ),
        Individual(
            "volcano", "volcano", "volkano", "a dark volcano that spits red lava into a smoky sky",
        ),
        Individual(
            "blueprint", "blueprint", "bluvino", "a blueprint, white lines on deep blue paper",
        ),
    )
}  # fmt: skip


def individual_of(word: str) -> Individual | None:
    """The individual of a class, or None where the class has none."""
    return next((one for one in INDIVIDUALS.values() if one.word == word), None)
