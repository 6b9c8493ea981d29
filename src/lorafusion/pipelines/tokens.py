"""How many vectors a layer maps for one sample, as far as the model's configuration tells."""

from __future__ import annotations

import functools
import re
from typing import Any

from lorafusion.executors.choose import USUAL_TOKENS, Tokens
from lorafusion.pipelines.match import denoiser_name

_BLOCK = re.compile(r"\.(down|up)_blocks\.([0-9]{1,4})\.")
_TEXT = 77
_OF_PROMPT = re.compile(r"\.(attn2\.to_[kv]|add_[qkv]_proj|to_add_out)$|\.(ff|norm1)_context\.")


def tokens(pipe: Any) -> Tokens:
    """`Tokens` for images of the model's own size.

    A unet halves its sides from one level to the next; a transformer has one vector for each patch.

    Raises:
        WrongBase: the pipeline has no denoiser.
    """
    name = denoiser_name(pipe)
    config = getattr(getattr(pipe, name), "config", None)
    own = getattr(config, "sample_size", None) or getattr(pipe, "default_sample_size", None)
    side = min(own) if isinstance(own, list | tuple) else int(own or USUAL_TOKENS**0.5)
    levels = len(getattr(config, "block_out_channels", None) or ()) if name == "unet" else 0
    # Flux, which has no size of its own, packs patches of two by two before its transformer.
    patch = 1 if levels else int(getattr(config, "patch_size", None) or 1)
    if not levels and not getattr(config, "sample_size", None):
        patch = max(patch, 2)
    return functools.partial(_tokens, name, side // patch, levels)


def _tokens(name: str, side: int, levels: int, target: str) -> int:
    if not target.startswith(name + "."):
        return 0
    if _OF_PROMPT.search(target):
        return _TEXT
    if not levels:
        return side * side
    block = _BLOCK.search(target)
    level = levels - 1 if block is None and ".mid_block." in target else 0
    if block:
        level = int(block[2]) if block[1] == "down" else levels - 1 - int(block[2])
    return max(side >> min(max(level, 0), levels - 1), 1) ** 2
