"""Packed: many short texts through a BERT sentence encoder in one pass without padding.

sentence-transformers spends most of its time on a handful of two-word texts with padding and bookkeeping.
Here the tokens of all texts lie in one row, and a mask keeps attention from looking out of one text
into another. Devlin et al.,
arXiv:1810.04805; the vector of a text is the mean over its tokens, scaled to length 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from lorafusion.routing.arithmetic import Arithmetic, Pair

TOGETHER = 128
"""Tokens of one pass: attention looks at all pairs of them, so that more would cost more each."""

_TABLES = ("word", "position", "token_type")


@dataclass(frozen=True)
class _Layer:
    qkv: Callable[[Any], Any]
    out: Callable[[Any], Any]
    norm: Pair
    wide: Callable[[Any], Any]
    narrow: Callable[[Any], Any]
    last: Pair


class Packed:
    """A sentence-transformers model of BERT with a mean over its tokens, for many short texts.

    Args:
        weights: of the model in float32, by the names that transformers gives them; tensors or arrays.
        shape: its number of attention heads, and the epsilon of its norms.
        tokenizer: of the package tokenizers.
        by: what it calculates with.
    """

    def __init__(
        self, weights: Mapping[str, Any], shape: tuple[int, float], tokenizer: Any, by: Arithmetic
    ) -> None:
        self._tokenizer = tokenizer
        self._by = by
        self._heads, self._epsilon = shape
        self._weights = weights
        tables = [by.array(weights[f"embeddings.{each}_embeddings.weight"]) for each in _TABLES]
        self._words = tables[0]  # mapped into memory, maybe: only rows that are used are read
        self._places = tables[1] + tables[2][0]
        self._first = self._pair("embeddings.LayerNorm")
        names = (name.split(".") for name in weights if name.startswith("encoder.layer."))
        count = 1 + max(int(number) for _, _, number, *_ in names)
        self._layers = [self._layer(f"encoder.layer.{number}") for number in range(count)]

    @classmethod
    def of(cls, model: Any, by: Arithmetic) -> Packed:
        """Of a sentence-transformers model for which `fits` holds, by torch."""
        bert = model[0].auto_model
        weights = {name: weight.detach().float() for name, weight in bert.state_dict().items()}
        return cls(weights, shape_of(model), model.tokenizer.backend_tokenizer, by)

    def encode(self, texts: Sequence[str]) -> Float[np.ndarray, "n d"]:
        """One row a text: [n, d], float32, each of length 1; texts must fit the model's window."""
        # One by one: a batch is spread over threads, which costs more than it brings here.
        found = [self._tokenizer.encode(text) for text in texts]
        ids = [each.ids[: sum(each.attention_mask)] for each in found]
        packs = _packs([len(each) for each in ids])
        with self._by.calm():
            rows = np.concatenate([self._pooled(ids[first:end]) for first, end in packs])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def _pooled(self, ids: Sequence[Sequence[int]]) -> Float[np.ndarray, "n d"]:
        """The sum over the tokens of each text."""
        count, total = len(ids), sum(map(len, ids))
        spare = self._by.filled(total) - total
        ids = [*ids, [0] * spare] if spare else ids  # one more text, which nobody wants to know
        sizes = [len(each) for each in ids]
        owners = np.repeat(np.arange(len(sizes)), sizes)
        closed = np.where(owners[:, None] == owners, np.float32(0), np.float32(-np.inf))
        words = self._words[[token for each in ids for token in each]]
        places = self._places[[place for size in sizes for place in range(size)]]
        found = self._run(self._by.of(words + places), self._by.of(closed))
        return np.add.reduceat(self._by.array(found), np.cumsum([0, *sizes[:-1]]))[:count]

    def _run(self, states: Any, closed: Any) -> Any:
        """From the tokens' embeddings [t, d] to their last states [t, d]."""
        by = self._by
        states = by.normed(states, self._first, self._epsilon)
        for layer in self._layers:
            heard = by.heard(layer.qkv(states), closed, self._heads)
            states = by.normed(states + layer.out(heard), layer.norm, self._epsilon)
            states = by.normed(states + layer.narrow(layer.wide(states)), layer.last, self._epsilon)
        return states

    def _layer(self, name: str) -> _Layer:
        own = [self._pair(f"{name}.attention.self.{each}") for each in ("query", "key", "value")]
        weights, biases = zip(*own, strict=True)
        return _Layer(
            self._by.linear((self._by.joined(weights), self._by.joined(biases))),
            self._by.linear(self._pair(f"{name}.attention.output.dense")),
            self._pair(f"{name}.attention.output.LayerNorm"),
            self._by.linear(self._pair(f"{name}.intermediate.dense"), gelu=True),
            self._by.linear(self._pair(f"{name}.output.dense")),
            self._pair(f"{name}.output.LayerNorm"),
        )

    def _pair(self, name: str) -> Pair:
        return self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]


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


def _is_mean(pooling: dict[str, Any]) -> bool:
    chosen = {name for name, value in pooling.items() if name.startswith("pooling_mode_") and value}
    return pooling.get("pooling_mode") == "mean" or chosen == {"pooling_mode_mean_tokens"}
