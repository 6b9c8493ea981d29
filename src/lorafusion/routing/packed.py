"""Packed: many short texts through a BERT sentence encoder in one pass without padding.

sentence-transformers spends most of its time on a handful of two-word texts with padding and bookkeeping.
Here the tokens of all texts lie in one row, and a mask keeps attention from looking out of one text
into another. Devlin et al.,
arXiv:1810.04805; the vector of a text is the mean over its tokens, scaled to length 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from lorafusion.routing.product import Product

TOGETHER = 128
"""Tokens of one pass: attention looks at all pairs of them, so that more would cost more each."""


@dataclass(frozen=True)
class _Layer:
    qkv: Product
    out: Product
    norm: tuple[Tensor, Tensor]
    wide: Product
    narrow: Product
    last: tuple[Tensor, Tensor]


class Packed:
    """A sentence-transformers model of BERT with a mean over its tokens, for many short texts.

    Args:
        weights: of the model, by the names that transformers gives them.
        shape: its number of attention heads, and the epsilon of its norms.
        tokenizer: of the package tokenizers.
        dtype: of the matrix products; all else is float32.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        shape: tuple[int, float],
        tokenizer: Any,
        dtype: torch.dtype,
    ) -> None:
        self._tokenizer = tokenizer
        self._dtype = dtype
        self._heads, self._epsilon = shape
        self._weights = weights
        self._words = weights["embeddings.word_embeddings.weight"]
        kind = weights["embeddings.token_type_embeddings.weight"][0]
        self._places = weights["embeddings.position_embeddings.weight"] + kind
        self._first = self._pair("embeddings.LayerNorm")
        names = (name.split(".") for name in weights if name.startswith("encoder.layer."))
        count = 1 + max(int(number) for _, _, number, *_ in names)
        self._layers = [self._layer(f"encoder.layer.{number}") for number in range(count)]

    @classmethod
    def of(cls, model: Any, dtype: torch.dtype) -> Packed:
        """Of a sentence-transformers model for which `fits` holds."""
        bert = model[0].auto_model
        weights = {name: weight.detach() for name, weight in bert.state_dict().items()}
        return cls(weights, shape_of(model), model.tokenizer.backend_tokenizer, dtype)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """One row a text: [n, d], float32, each of length 1; texts must fit the model's window."""
        # One by one: a batch is spread over threads, which costs more than it brings here.
        found = [self._tokenizer.encode(text) for text in texts]
        ids = [each.ids[: sum(each.attention_mask)] for each in found]
        rows = [self._pooled(ids[first:end]) for first, end in _packs([len(each) for each in ids])]
        return functional.normalize(torch.cat(rows), dim=1)

    def _pooled(self, ids: Sequence[Sequence[int]]) -> Float[Tensor, "n d"]:
        owners = torch.arange(len(ids)).repeat_interleave(torch.tensor([len(e) for e in ids]))
        places = torch.cat([torch.arange(len(each)) for each in ids])
        states = self._run(torch.tensor([i for each in ids for i in each]), places, owners)
        return states.new_zeros(len(ids), states.shape[1]).index_add_(0, owners, states)

    def _run(
        self, ids: Int[Tensor, " t"], places: Int[Tensor, " t"], owners: Int[Tensor, " t"]
    ) -> Float[Tensor, "t d"]:
        states = self._normed(self._words[ids] + self._places[places], self._first)
        apart = owners[:, None] != owners
        closed = torch.zeros(len(ids), len(ids)).masked_fill_(apart, -torch.inf)
        for layer in self._layers:
            mixed = layer.qkv(states).float().view(len(ids), 3, self._heads, -1)
            q, k, v = mixed.permute(1, 2, 0, 3)  # each [heads, tokens, width of a head]
            scale = q.shape[2] ** -0.5
            shares = torch.baddbmm(closed, q, k.transpose(1, 2), alpha=scale).softmax(2)
            heard = torch.bmm(shares, v).transpose(0, 1).flatten(1)
            states = self._normed(states + layer.out(heard), layer.norm)
            states = self._normed(states + layer.narrow(layer.wide(states)), layer.last)
        return states

    def _normed(self, rows: Tensor, weights: tuple[Tensor, Tensor]) -> Tensor:
        return functional.layer_norm(rows, (rows.shape[1],), *weights, self._epsilon)

    def _layer(self, name: str) -> _Layer:
        own = [self._pair(f"{name}.attention.self.{each}") for each in ("query", "key", "value")]
        weights, biases = zip(*own, strict=True)
        return _Layer(
            Product(torch.cat(weights), torch.cat(biases), self._dtype),
            self._product(f"{name}.attention.output.dense"),
            self._pair(f"{name}.attention.output.LayerNorm"),
            self._product(f"{name}.intermediate.dense", gelu=True),
            self._product(f"{name}.output.dense"),
            self._pair(f"{name}.output.LayerNorm"),
        )

    def _product(self, name: str, *, gelu: bool = False) -> Product:
        return Product(*self._pair(name), self._dtype, gelu=gelu)

    def _pair(self, name: str) -> tuple[Tensor, Tensor]:
        weight, bias = (self._weights[f"{name}.{each}"] for each in ("weight", "bias"))
        return weight.float(), bias.float()


def _packs(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """First and end of the runs of texts that go together, for their numbers of tokens."""
    found = []
    first = total = 0
    for i, size in enumerate(sizes):
        if i > first and total + size > TOGETHER:
            found.append((first, i))
            first, total = i, 0
        total += size
    return [*found, (first, len(sizes))]


def shape_of(model: Any) -> tuple[int, float]:
    """The number of attention heads, and the epsilon of the norms."""
    config = model[0].auto_model.config
    return int(config.num_attention_heads), float(config.layer_norm_eps)


def fits(model: Any) -> bool:
    """Whether `Packed` gives what this sentence-transformers model gives."""
    kinds = [type(module).__name__ for module in model]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        return False
    config = getattr(model[0].auto_model, "config", None)
    pooling: dict[str, Any] = getattr(model[1], "get_config_dict", dict)()
    plain = (
        type(model[0].auto_model).__name__ == "BertModel"
        and getattr(config, "hidden_act", "") == "gelu"
        and getattr(config, "position_embedding_type", "absolute") == "absolute"
        and hasattr(model.tokenizer, "backend_tokenizer")
    )
    return plain and not model.default_prompt_name and _is_mean(pooling)


def fast_dtype() -> torch.dtype:
    """bfloat16 where the processor multiplies in it, which halves the time; else float32."""
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
    return torch.bfloat16 if native() else torch.float32


def _is_mean(pooling: dict[str, Any]) -> bool:
    chosen = {name for name, value in pooling.items() if name.startswith("pooling_mode_") and value}
    return pooling.get("pooling_mode") == "mean" or chosen == {"pooling_mode_mean_tokens"}
