"""The prompt as each branch and each turn sees it.

Under switch and composite every LoRA has its own text encoder, so the prompt is encoded once per distinct mixture
of the text encoders. The pipeline carries on with one of these encodings, whatever it does with it (guidance,
several images per prompt, two encoders side by side); where the denoiser is called, its rows are
recognised and exchanged for those of the branch's own encoding.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.errors import RunError, WrongBase
from lorafusion.executors.base import Executor, replaced
from lorafusion.executors.call import SAMPLES, SHARED, Call


class Prompts:
    """Encodings of the prompt under several mixtures, while its `with` block lasts.

    Args:
        pipe: a pipeline with `encode_prompt`.
        encoders: the executors of its text encoders, already entered.
        mixtures: [V, L], the distinct gates of the text encoders; the pipeline carries on with the first.
    """

    def __init__(
        self, pipe: Any, encoders: Sequence[Executor], mixtures: Float[Tensor, "v l"]
    ) -> None:
        self._pipe = pipe
        self._encoders = encoders
        self._mixtures = mixtures
        self._encoded: list[tuple[Tensor, ...]] = []
        self._used = False
        self._stack = ExitStack()

    def __enter__(self) -> Prompts:
        if not hasattr(self._pipe, "encode_prompt"):
            raise WrongBase(
                f"{type(self._pipe).__name__} has no encode_prompt, so that text encoder LoRAs cannot "
                "take turns; use method='merge' or 'fusion'"
            )
        function = self._encode_all(self._pipe.encode_prompt)
        self._stack.enter_context(replaced(self._pipe, "encode_prompt", function))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        self._encoded = []

    def seen_by(self, call: Call, variant: int) -> Call:
        """The call with the prompt as encoded under mixture `variant`.

        Raises:
            RunError: none of the encodings is among the denoiser's arguments.
        """
        self._used = True
        if variant == 0:
            return call
        exchanged = [False]

        def exchange(name: str, tensor: Tensor) -> Tensor:
            if name in (*SHARED, *SAMPLES) or tensor.ndim < 2 or tensor.shape[0] != call.batch:
                return tensor
            changed, found = self._exchange(tensor, variant)
            exchanged[0] |= found
            return changed

        changed = call.with_tensors(exchange)
        if not exchanged[0]:
            raise RunError(
                f"{type(self._pipe).__name__} changes the prompt embeddings between encode_prompt and the "
                "denoiser, so that text encoder LoRAs cannot take turns; use method='merge' or 'fusion'"
            )
        return changed

    def _exchange(self, tensor: Tensor, variant: int) -> tuple[Tensor, bool]:
        """Rows of `tensor` that are rows of the first encoding become those of `variant`."""
        known = [
            (first.to(tensor), own.to(tensor))
            for first, own in self._pairs(variant)
            if first.shape[1:] == tensor.shape[1:]
        ]
        rows, found = [], False
        for row in tensor:
            match = next((own[i] for first, own in known for i in _equal_rows(first, row)), None)
            rows.append(row if match is None else match)
            found |= match is not None
        return (torch.stack(rows) if found else tensor), found

    def _pairs(self, variant: int) -> list[tuple[Tensor, Tensor]]:
        count = len(self._mixtures)
        runs = [self._encoded[i : i + count] for i in range(0, len(self._encoded), count)]
        return [pair for run in runs for pair in zip(run[0], run[variant], strict=True)]

    def _encode_all(self, original: Any) -> Any:
        @functools.wraps(original)
        def encode_prompt(*args: Any, **kwargs: Any) -> Any:
            if self._used:
                self._encoded, self._used = [], False
            results = []
            for mixture in self._mixtures:
                for encoder in self._encoders:
                    encoder.set(mixture)
                results.append(original(*args, **kwargs))
            self._encoded += [tuple(_tensors(result)) for result in results]
            return results[0]

        return encode_prompt


def _equal_rows(first: Tensor, row: Tensor) -> list[int]:
    return [index for index in range(len(first)) if torch.equal(first[index], row)][:1]


def _tensors(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, Mapping):
        return [tensor for item in result.values() for tensor in _tensors(item)]
    if isinstance(result, list | tuple):
        return [tensor for item in result for tensor in _tensors(item)]
    return []
