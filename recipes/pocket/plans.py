"""How each bundled LoRA is trained and shipped."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LoraPlan:
    """One LoRA.

    Attributes:
        name: the individual it learns, and its file's stem.
        rank: its rank.
        alpha: its alpha; it acts with alpha / rank.
        text: whether it also changes the text encoder.
        form: the file format it ships in.
        told: where its description ships: in the file's metadata, in a JSON file beside it, or only
            among the tags that kohya's trainer counted.
        times: how often the recipe's steps; a class that the base never saw takes longer.
        scenes: how often the recipe's scenes; a word that is missed in some sentences is met in more.
        learned: the rank that it learns at, where that is more than the rank of the file that ships.
        acts: what the alpha of the file that ships is of the one that it learns with: a style that is
            seen for sure leaves more of the others where it acts less.
    """

    name: str
    rank: int
    alpha: int
    text: bool
    form: Literal["kohya", "diffusers"]
    told: Literal["metadata", "sidecar", "tags"] = "metadata"
    times: int = 1
    scenes: int = 1
    learned: int = 0
    acts: float = 1.0

    @property
    def shipped_alpha(self) -> float:
        """The alpha of the file that ships."""
        return self.alpha * self.acts


PLANS: tuple[LoraPlan, ...] = (
    LoraPlan("robot", 8, 8, False, "kohya"),
    LoraPlan("panda", 6, 6, True, "diffusers"),
    LoraPlan("fox", 5, 10, True, "kohya"),
    LoraPlan("frog", 6, 3, False, "diffusers", "sidecar"),
    LoraPlan("crown", 8, 4, False, "kohya"),
    LoraPlan("glasses", 6, 6, True, "diffusers", "sidecar"),
    LoraPlan("scarf", 4, 8, False, "kohya"),
    LoraPlan("guitar", 6, 6, True, "kohya", "sidecar"),
    LoraPlan("balloon", 4, 4, False, "diffusers"),
    LoraPlan("umbrella", 6, 12, True, "diffusers"),
    LoraPlan("library", 6, 6, True, "kohya"),
    LoraPlan("beach", 4, 4, False, "kohya", "sidecar"),
    LoraPlan("city", 5, 5, True, "diffusers"),
    LoraPlan("pixel-art", 8, 8, True, "diffusers", times=4),
    LoraPlan("sketch", 6, 3, True, "kohya", times=2, scenes=5, acts=0.85),
    LoraPlan("mosaic", 8, 8, True, "diffusers", "sidecar", 3, 5),
    LoraPlan("octopus", 8, 8, True, "kohya", times=2),
    LoraPlan("owl", 8, 8, True, "kohya", "tags", 2),
    LoraPlan("goggles", 8, 8, True, "diffusers", times=5, scenes=5),
    LoraPlan("sunhat", 6, 6, True, "diffusers", "sidecar", 4),
    LoraPlan("rocket", 8, 4, True, "kohya", times=2),
    LoraPlan("trophy", 6, 6, True, "kohya", "tags", 2),
    LoraPlan("volcano", 8, 16, True, "diffusers", times=5, scenes=5, learned=12),
    LoraPlan("blueprint", 8, 8, True, "diffusers", times=2),
)
