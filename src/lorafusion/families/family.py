"""Family: one line of base models, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Family:
    """What is known of a family before any of its models is loaded.

    Sizes are evidence: a LoRA is of a family when at least one of them is seen and none is
    contradicted.

    Attributes:
        name: as LoRA.family has it ("sd15").
        title: for people ("Stable Diffusion 1.x").
        denoiser: the component that predicts noise, "unet" or "transformer".
        text: text encoder component -> its width.
        context: input width of ``attn2.to_k`` and ``to_v`` in a unet.
        blocks: (channels, transformer layers) of each down block of a unet, outermost first; empty
            when they are no evidence.
        marks: pieces of module paths of which one is enough to recognise a transformer.
        strangers: pieces of module paths that only other models have; a ``$`` is the end of a path.
        widths: input widths of ``attn.to_q`` that only this family has.
        foreign_widths: input widths of ``attn.to_q`` that belong to other families.
        claims: what trainers write into headers for this family; heard where shapes leave a choice.
        sgm: whether kohya files number its unet's blocks as the original code does.
    """

    name: str
    title: str
    denoiser: str
    text: Mapping[str, int]
    context: int = 0
    blocks: tuple[tuple[int, int], ...] = ()
    marks: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    widths: frozenset[int] = field(default_factory=frozenset)
    foreign_widths: frozenset[int] = field(default_factory=frozenset)
    claims: tuple[str, ...] = ()
    sgm: bool = False

    @property
    def components(self) -> tuple[str, ...]:
        """The pipeline components that a LoRA of this family may change."""
        return (self.denoiser, *self.text)
