"""PipelineEncoder: the text encoder that a diffusion pipeline brings along.

Nothing has to be downloaded for it. Radford et al., arXiv:2103.00020, section 2.4: CLIP's text
feature is the last layer at the end-of-text token, projected.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from lorafusion.errors import BadOption
from lorafusion.routing.fingerprint import fingerprint, settings_of

_PLACES = ("_2", "", "_3")
"""SDXL's second encoder is the larger one of the two that project."""


class PipelineEncoder:
    """Texts as the pipeline's own text encoder sees them, without any LoRA.

    Of several text encoders it takes the first that projects into the space CLIP compares texts and
    images in, else the first that pools, else the mean over the tokens of the first one. To be used
    while no LoRA is applied to the text encoder.

    Args:
        pipe: anything with ``text_encoder`` and ``tokenizer``, or ``text_encoder_2`` and so on, as
            diffusers pipelines have.

    Raises:
        BadOption: the pipeline has no text encoder with a tokenizer.
    """

    def __init__(self, pipe: object) -> None:
        self._model, self._tokenizer = _pick(pipe)
        self._before, self._after = _specials(self._tokenizer)

    @property
    def id(self) -> str:
        """Class and fingerprint of the text encoder; empty while its weights are offloaded."""
        settings = settings_of(self._model.config)
        digits = fingerprint(self._model, self._tokenizer, settings)
        return f"{type(self._model).__name__}@{digits}" if digits else ""

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """One row a text: [n, d], float32 on the CPU, each of length 1.

        A text longer than the encoder's window is cut into pieces that fit; their vectors are
        averaged by their number of tokens.
        """
        pieces = [self._pieces(text) for text in texts]
        vectors = self._vectors([ids for owned in pieces for ids in owned])
        rows = []
        for owned in pieces:
            mine = torch.stack([vectors[tuple(ids)] for ids in owned])
            sizes = torch.tensor([float(len(ids)) for ids in owned])
            rows.append(functional.normalize((mine * sizes[:, None]).sum(0), dim=0))
        return torch.stack(rows)

    def _pieces(self, text: str) -> list[list[int]]:
        """Token ids of a text, in runs that fit the window with the special tokens around them."""
        ids = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        room = self._window() - len(self._before) - len(self._after)
        runs = [list(ids[i : i + room]) for i in range(0, len(ids), room)] or [[]]
        return [[*self._before, *run, *self._after] for run in runs]

    def _window(self) -> int:
        positions = getattr(self._model.config, "max_position_embeddings", None)
        return min(self._tokenizer.model_max_length, positions or 512)

    def _vectors(self, pieces: list[list[int]]) -> dict[tuple[int, ...], Float[Tensor, " d"]]:
        """Token ids -> unit vector; pieces of one length go together, so that none is padded."""
        by_length: defaultdict[int, list[list[int]]] = defaultdict(list)
        for ids in pieces:
            by_length[len(ids)].append(ids)
        found: dict[tuple[int, ...], Float[Tensor, " d"]] = {}
        for same in by_length.values():
            rows = functional.normalize(self._pool(torch.tensor(same)), dim=1)
            found.update(zip(map(tuple, same), rows, strict=True))
        return found

    def _pool(self, ids: Int[Tensor, "n t"]) -> Float[Tensor, "n d"]:
        device = self._model.device
        # Offloaded weights stand on no device; the offloading then moves what goes in by itself.
        output = self._model(input_ids=ids if device.type == "meta" else ids.to(device))
        pooled = getattr(output, "text_embeds", None)
        if pooled is None:
            pooled = getattr(output, "pooler_output", None)
        if pooled is None:
            pooled = output.last_hidden_state.mean(1)
        return pooled.to("cpu", torch.float32)


def _pick(pipe: object) -> tuple[Any, Any]:
    """The pipeline's best text encoder for comparing texts, and its tokenizer."""
    pairs = [
        (getattr(pipe, f"text_encoder{place}", None), getattr(pipe, f"tokenizer{place}", None))
        for place in _PLACES
    ]
    there = [(model, words) for model, words in pairs if model is not None and words is not None]
    if not there:
        raise BadOption(
            f"{type(pipe).__name__} has no text encoder with a tokenizer; name another encoder"
        )
    return min(there, key=lambda pair: _rank(pair[0]))


def _rank(model: nn.Module) -> int:
    if isinstance(getattr(model, "text_projection", None), nn.Module):
        return 0
    return 1 if type(model).__name__ == "CLIPTextModel" else 2


def _specials(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Token ids that the tokenizer puts before and after every text."""
    ids = list(tokenizer("", verbose=False)["input_ids"])
    if ids and ids[0] == tokenizer.bos_token_id:
        return ids[:1], ids[1:]
    return [], ids
