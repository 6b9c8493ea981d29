"""Blocks: which parts of a denoiser have a gate of their own, and how wide what they return is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lorafusion.errors import WrongBase
from lorafusion.lora import LoRA
from lorafusion.training.scenes import Scene

_BLOCK = re.compile(
    r"(?:^|\.)(?:attentions|resnets|transformer_blocks|single_transformer_blocks)\.\d+(?=\.|$)"
)
"""Where a block's path ends, as diffusers names the children of its denoisers."""


def blocks_of(targets: Iterable[str]) -> list[str]:
    """The blocks that hold these layers, outermost ones, in the order of their first layer.

    Args:
        targets: paths inside the denoiser; those in no block are passed over.
    """
    found = (_BLOCK.search(target) for target in targets)
    return list(dict.fromkeys(match.string[: match.end()] for match in found if match))


@torch.no_grad()
def block_widths(pipe: Any, loras: Sequence[LoRA], scene: Scene) -> dict[str, int]:
    """Path of each block that a LoRA changes -> width of its output, seen in one forward.

    Raises:
        WrongBase: the LoRAs change no block.
    """
    paths = blocks_of(sorted({path for lora in loras for path in lora.part("unet")}))
    if not paths:
        raise WrongBase(
            f"{loras[0].name} and the others change no block of this {type(pipe.unet).__name__}; gates are for LoRAs "
            "that change its attentions, resnets or transformer blocks"
        )
    widths: dict[str, int] = {}

    def seen(path: str) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output
            assert isinstance(first, Tensor)
            widths[path] = first.shape[1 if first.ndim == 4 else -1]

        return hook

    handles = [pipe.unet.get_submodule(path).register_forward_hook(seen(path)) for path in paths]
    try:
        step = torch.zeros(1, dtype=torch.long, device=pipe.unet.device)
        pipe.unet(scene.latents[:1].to(pipe.unet.device), step, **scene.told(1))
    finally:
        for handle in handles:
            handle.remove()
    return {path: widths[path] for path in paths if path in widths}
