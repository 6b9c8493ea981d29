"""The denoiser, called once per branch of each plan, and the branches' predictions averaged."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lorafusion.executors.base import Executor, replaced
from lorafusion.executors.call import Call, prediction, with_prediction
from lorafusion.executors.same import Same
from lorafusion.mixer import Mixer, Moment
from lorafusion.pipelines.clock import Clock
from lorafusion.pipelines.mixed import mixed, moment
from lorafusion.pipelines.prompts import Prompts


@dataclass(frozen=True, eq=False)
class Share:
    """What one image of a batch is made with, or all of them alike.

    Attributes:
        gates: [S, B, L], over the LoRAs of the executor.
        mix: [S, B].
        variants: [S, B], which mixture of the text encoders a branch sees in a step.
        guidance: the guidance scale of this image; None for the pipeline's.
        mixer: makes one prediction of the branches' instead of `mix`.
    """

    gates: Float[Tensor, "s b l"]
    mix: Float[Tensor, "s b"]
    variants: Int[Tensor, "s b"]
    guidance: float | None = None
    mixer: Mixer | None = None


def branched(
    pipe: Any,
    denoiser: nn.Module,
    executor: Executor,
    shares: Sequence[Share],
    clock: Clock | None,
    prompts: Prompts | None,
) -> AbstractContextManager[None]:
    """Let every call of `denoiser` be the mean over branches, for each image of its batch.

    Guidance is linear in the predictions, so averaging the conditional and the unconditional ones apart is
    averaging the guided ones: composite is right for any guidance scale, and without guidance.

    Args:
        pipe: the pipeline.
        denoiser: its UNet or transformer.
        executor: of that denoiser, already entered.
        shares: one for all images alike, or one for each.
        clock: which step it is; None for plans that are the same in each.
        prompts: the prompt per mixture of the text encoders; None when there is only one.
    """
    original, same = denoiser.forward, Same()

    @functools.wraps(original)
    def forward(*args: Any, **kwargs: Any) -> Any:
        call = Call.of(original, args, kwargs)
        step = clock.step(call.arguments.get("timestep")) if clock else 0
        rows = _rows(call.batch, len(shares))
        calls, gates = [], []
        for share, own in zip(shares, rows, strict=True):
            mine = _own(call, own, share, same)
            for branch, variant in enumerate(share.variants[step].tolist()):
                calls.append(prompts.seen_by(mine, variant) if prompts else mine)
                gates.append(share.gates[step, branch])
        outputs = executor.predict(calls, torch.stack(gates))
        whens = [moment(pipe, len(own), step, len(shares[0].gates)) for own in rows]
        return _gathered(outputs, shares, rows, whens)

    return replaced(denoiser, "forward", forward)


def mean(outputs: Sequence[Any], mix: Float[Tensor, " b"]) -> Any:
    """The weighted mean of what the denoiser returned per branch, accumulated in float32 or wider."""
    if len(outputs) == 1:
        return outputs[0]
    first = prediction(outputs[0])
    wide = torch.promote_types(first.dtype, torch.float32)
    total = sum(
        prediction(output).to(wide) * float(share)
        for output, share in zip(outputs, mix, strict=True)
    )
    assert isinstance(total, Tensor)
    return with_prediction(outputs[0], total.to(first.dtype))


def _rows(batch: int, images: int) -> list[list[int]]:
    """The rows of each image: pipelines put all images without the prompt before all with it."""
    if images == 1:
        return [list(range(batch))]
    return [list(range(image, batch, images)) for image in range(images)]


def _own(call: Call, rows: Sequence[int], share: Share, same: Same) -> Call:
    """The call of one image alone."""
    mine = call if len(rows) == call.batch else call.picked(rows, same)
    scale = share.guidance
    if scale is None or not isinstance(mine.arguments.get("guidance"), Tensor):
        return mine
    # Distilled models are told the scale instead of being guided by it.
    return mine.with_tensors(
        lambda name, tensor: torch.full_like(tensor, scale) if name == "guidance" else tensor
    )


def _gathered(
    outputs: Sequence[Any],
    shares: Sequence[Share],
    rows: Sequence[Sequence[int]],
    whens: Sequence[Moment],
) -> Any:
    """Every image's one prediction of its branches', in the order of the batch."""
    means, start = [], 0
    for share, when in zip(shares, whens, strict=True):
        own = outputs[start : start + share.mix.shape[1]]
        means.append(
            mixed(own, share.mixer, when) if share.mixer else mean(own, share.mix[when.step])
        )
        start += len(own)
    if len(means) == 1:
        return means[0]
    pieces = [
        _guided(prediction(one), share.guidance) for one, share in zip(means, shares, strict=True)
    ]
    first = pieces[0]
    together = first.new_empty(sum(map(len, rows)), *first.shape[1:])
    for own, piece in zip(rows, pieces, strict=True):
        together[list(own)] = piece
    return with_prediction(outputs[0], together)


def _guided(predicted: Float[Tensor, "n *rest"], scale: float | None) -> Float[Tensor, "n *rest"]:
    """One image's predictions without and with the prompt, both made the guided one.

    A pipeline has one scale for all its images: u + s (c - u). Where each has its own, it is applied
    here, and the pipeline's leaves it as it is, since then c - u = 0.
    """
    if scale is None or len(predicted) != 2:
        return predicted
    without, with_prompt = predicted
    return (without + scale * (with_prompt - without)).expand_as(predicted)
