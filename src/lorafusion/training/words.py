"""Words: captions as a pipeline's unet takes them, by the pipeline's own way of encoding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

Encoded = tuple[Float[Tensor, "n t d"], Float[Tensor, "n p"] | None]
"""The sequence, and the pooled text where the unet takes one (SDXL)."""


class Words:
    """Encodes captions; those of frozen text encoders once.

    Args:
        pipe: a pipeline with `encode_prompt`.
        live: whether the text encoders change, so that captions are encoded anew, with gradients.
    """

    def __init__(self, pipe: Any, *, live: bool) -> None:
        self._pipe = pipe
        self._live = live
        self._known: dict[str, Encoded] = {}

    def learn(self, captions: Iterable[str]) -> None:
        """Encode captions ahead, where they do not change."""
        if self._live:
            return
        with torch.no_grad():
            for caption in dict.fromkeys(captions):
                self._known[caption] = self._encode([caption])

    def of(self, captions: Sequence[str]) -> Encoded:
        """The captions of one batch; `learn` has seen them."""
        if self._live:
            return self._encode(list(captions))
        rows = [self._known[caption] for caption in captions]
        pooled = [row[1] for row in rows if row[1] is not None]
        return torch.cat([row[0] for row in rows]), torch.cat(pooled) if pooled else None

    def _encode(self, captions: list[str]) -> Encoded:
        unet = self._pipe.unet
        made = self._pipe.encode_prompt(
            prompt=captions,
            device=unet.device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=False,
        )
        return made[0], made[2] if unet.config.get("addition_embed_type") == "text_time" else None


def conditions(encoded: Encoded, size: int) -> dict[str, Any]:
    """The arguments by which a unet is told of the text and, for SDXL, of the picture's size.

    Source: Podell et al., arXiv:2307.01952, section 2.2 (original size, crop at the top left, target size).
    """
    hidden, pooled = encoded
    if pooled is None:
        return {"encoder_hidden_states": hidden}
    sizes = torch.tensor([[size, size, 0, 0, size, size]]).to(pooled).expand(len(pooled), -1)
    told = {"text_embeds": pooled, "time_ids": sizes}
    return {"encoder_hidden_states": hidden, "added_cond_kwargs": told}
