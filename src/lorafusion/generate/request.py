"""Request: what one image, or several, should be; checked before anything heavy is loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from lorafusion.errors import BadOption, UnknownName
from lorafusion.methods import METHODS, options_of
from lorafusion.registry import unknown
from lorafusion.routing.tags import parsed, require_text

LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Request:
    """Everything about an image but its model, its LoRAs and their weights.

    Attributes:
        prompt: what the image shows, with the tags that pin LoRAs, as given.
        seeds: one image is made for each, 0 to 2^63 - 1.
        steps: denoising steps, at least 1.
        negative_prompt: what it should not show; "" for nothing.
        guidance_scale: how closely to follow the prompt; None for the pipeline's own default.
        width: pixels; None for the pipeline's own default.
        height: pixels; None for the pipeline's own default.
        method: a name of `METHODS`.
        options: the method's own options.
        strength: factor on all gates.

    Raises:
        BadOption: a prompt that is empty or no text, no seed, or a number out of its range.
        UnknownName: no such method, or no such option of the method.
    """

    prompt: str
    seeds: tuple[int, ...] = (0,)
    steps: int = 30
    negative_prompt: str = ""
    guidance_scale: float | None = None
    width: int | None = None
    height: int | None = None
    method: str = "fusion"
    options: Mapping[str, object] = field(default_factory=dict)
    strength: float = 1.0

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise BadOption("the prompt is empty; say in words what the image should show")
        require_text("prompt", self.prompt)
        require_text("negative prompt", self.negative_prompt)
        if self.steps < 1:
            raise BadOption(f"steps is {self.steps}; it must be at least 1")
        if not self.seeds:
            raise BadOption("seeds is empty; give one for each image")
        for seed in self.seeds:
            if not 0 <= seed <= LARGEST_SEED:
                raise BadOption(f"seed is {seed}; it must be between 0 and {LARGEST_SEED}")
        for name, size in (("width", self.width), ("height", self.height)):
            if size is not None and size < 1:
                raise BadOption(f"{name} is {size}; it must be at least 1 pixel")
        if self.guidance_scale is not None and not 0 <= self.guidance_scale < math.inf:
            raise BadOption(f"guidance_scale is {self.guidance_scale}; it must be 0 or more")
        if not math.isfinite(self.strength):
            raise BadOption(f"strength is {self.strength}; it must be a finite number")
        self._check_method()

    @property
    def text(self) -> str:
        """The prompt without its tags.

        Raises:
            BadOption: a tag is malformed, or a name pinned twice.
        """
        return parsed(self.prompt)[0]

    def check_tags(self) -> None:
        """Refuse tags that cannot be, before anything is loaded; a recorded image is made again without.

        Raises:
            BadOption: as `text`, nothing but tags, or tags in the negative prompt.
        """
        if not self.text.strip():
            raise BadOption("the prompt is empty; say in words what the image should show")
        if parsed(self.negative_prompt)[1]:
            raise BadOption("the negative prompt pins a LoRA; write the tag in the prompt")

    def _check_method(self) -> None:
        known = options_of(self.method)
        for name in self.options:
            if name not in known:
                kind = f"option of method {self.method!r}"
                raise UnknownName(unknown(kind, name, [*known, "strength"]))
        # A method looks at its options also when there is no LoRA, which costs nothing.
        METHODS[self.method]((), (), self.steps, **self.options)
