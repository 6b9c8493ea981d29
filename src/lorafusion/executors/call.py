"""One call of a denoiser as data: what can be stacked along the batch, taken apart, and run in float64."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lorafusion.executors.same import Same

BATCHED = frozenset(
    {
        "sample",
        "hidden_states",
        "timestep",
        "encoder_hidden_states",
        "pooled_projections",
        "guidance",
        "class_labels",
        "timestep_cond",
        "attention_mask",
        "encoder_attention_mask",
        "encoder_hidden_states_mask",
        "added_cond_kwargs",
        "down_block_additional_residuals",
        "mid_block_additional_residual",
        "down_intrablock_additional_residuals",
        "block_controlnet_hidden_states",
        "controlnet_block_samples",
        "controlnet_single_block_samples",
    }
)
"""Arguments of diffusers' denoisers whose tensors carry the batch in their first dimension."""

SHARED = frozenset({"img_ids", "txt_ids"})
"""Arguments whose tensors are the same for every sample."""

SAMPLES = ("sample", "hidden_states")
"""What the noisy sample itself is called."""


@dataclass(frozen=True, eq=False)
class Call:
    """The arguments of one call, by name.

    Attributes:
        arguments: parameter name -> value.
        batch: the number N of samples in it.
    """

    arguments: Mapping[str, Any]
    batch: int

    @classmethod
    def of(
        cls, forward: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Call:
        """Name the positional arguments by the signature of `forward`."""
        names = list(inspect.signature(forward).parameters)
        arguments = dict(zip(names, args, strict=False)) | dict(kwargs)
        sample = next(arguments[name] for name in SAMPLES if name in arguments)
        return cls(arguments, sample.shape[0])

    @property
    def stackable(self) -> bool:
        """Whether every tensor is under a name that is known to carry the batch, or not to."""
        known = BATCHED | SHARED
        return not any(
            _has_tensor(value) for name, value in self.arguments.items() if name not in known
        )

    def rows(self, start: int, stop: int) -> Call:
        """The call for samples start to stop alone."""
        return self.picked(range(start, stop))

    def picked(self, rows: Sequence[int], same: Same | None = None) -> Call:
        """The call for these samples alone, in this order.

        Args:
            rows: their numbers.
            same: of the calls before; arguments that are as they were then are not picked again.
        """
        wanted = list(rows)
        known = same or Same()

        def own(name: str, tensor: Tensor) -> Tensor:
            if not self._carries(name, tensor):
                return tensor
            return known.of((name, tensor.shape, *wanted), (tensor,), lambda: tensor[wanted])

        return self._mapped(own, len(wanted))

    def to(self, dtype: torch.dtype) -> Call:
        """The same call with every floating tensor in `dtype`."""
        return self._mapped(
            lambda _, tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor, self.batch
        )

    def with_tensors(self, change: Callable[[str, Tensor], Tensor]) -> Call:
        """The same call with `change(name, tensor)` in place of each tensor."""
        return self._mapped(change, self.batch)

    def _carries(self, name: str, tensor: Tensor) -> bool:
        return name in BATCHED and tensor.ndim > 0 and tensor.shape[0] == self.batch

    def _mapped(self, change: Callable[[str, Tensor], Tensor], batch: int) -> Call:
        changed = {
            name: _tree_map(functools.partial(change, name), value)
            for name, value in self.arguments.items()
        }
        return Call(changed, batch)


def stack(calls: Sequence[Call], same: Same) -> Call:
    """One call with the samples of all of them, in order; they must be alike but for their values.

    Args:
        calls: to be put together.
        same: of the calls before; arguments that are as they were then are not put together again.
    """
    first = calls[0]

    def one(name: str) -> Any:
        values = [call.arguments[name] for call in calls]
        carries = functools.partial(first._carries, name)
        if all(isinstance(value, Tensor) for value in values):
            return same.of(name, values, lambda: _tree_stack(values, carries))
        return _tree_stack(values, carries)

    arguments = {name: one(name) for name in first.arguments}
    return Call(arguments, sum(call.batch for call in calls))


def prediction(output: Any) -> Tensor:
    """The tensor in what a denoiser returned: a tuple, or an output object with `sample`."""
    return output[0]


def with_prediction(output: Any, tensor: Tensor) -> Any:
    """What the denoiser returned, in its own form, with `tensor` as the prediction."""
    if isinstance(output, tuple):
        return (tensor, *output[1:])
    return type(output)(sample=tensor)


def _has_tensor(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_tensor(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_has_tensor(item) for item in value)
    return isinstance(value, Tensor)


def _tree_map(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _tree_map(change, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_tree_map(change, item) for item in value)
    return value


def _tree_stack(values: Sequence[Any], carries: Callable[[Tensor], bool]) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        return torch.cat(list(values)) if carries(first) else first
    if isinstance(first, dict):
        return {key: _tree_stack([value[key] for value in values], carries) for key in first}
    if isinstance(first, list | tuple):
        return type(first)(_tree_stack(list(items), carries) for items in zip(*values, strict=True))
    return first
