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
    """

    name: str
    rank: int
    alpha: int
    text: bool
    form: Literal["kohya", "diffusers"]
    told: Literal["metadata", "sidecar", "tags"] = "metadata"


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
    LoraPlan("pixel-art", 8, 8, False, "diffusers"),
    LoraPlan("sketch", 6, 3, True, "kohya"),
    LoraPlan("mosaic", 4, 8, False, "diffusers", "sidecar"),
    LoraPlan("octopus", 8, 8, True, "kohya"),
    LoraPlan("owl", 8, 8, True, "kohya", "tags"),
    LoraPlan("goggles", 6, 6, True, "diffusers"),
    LoraPlan("sunhat", 6, 6, False, "diffusers", "sidecar"),
    LoraPlan("rocket", 8, 4, True, "kohya"),
    LoraPlan("trophy", 6, 6, True, "kohya", "tags"),
    LoraPlan("volcano", 4, 4, False, "diffusers"),
    LoraPlan("blueprint", 6, 6, False, "diffusers"),
)
