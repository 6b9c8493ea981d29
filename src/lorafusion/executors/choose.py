"""Choose an executor by what it costs, and say why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from lorafusion.executors.forms import LAUNCH, Sizes
from lorafusion.lora import LowRank
from lorafusion.plan import Plan

Tokens = Callable[[str], int]
"""Target path -> the vectors that its layer maps for one sample; 0 for layers outside of the denoiser."""

USUAL_TOKENS = 1024
"""For a layer of which nothing is known: those of a latent of 32 by 32."""
_WRITES = 4 * LAUNCH
"""What pointing a layer at its written weight costs beside the product."""


@dataclass(frozen=True)
class Choice:
    """An executor's name and the reason for it, in words."""

    name: str
    why: str


def usual(target: str) -> int:
    """`Tokens` where nothing is known of the model."""
    return 0 if target.startswith("text_encoder") else USUAL_TOKENS


def choose_for(plans: Sequence[Plan], samples: int = 2, tokens: Tokens = usual) -> Choice:
    """`choose` for a batch with a plan for each image: gates that differ between samples want `inject`."""
    if len(plans) == 1:
        return choose(plans[0], samples, tokens)
    for plan in plans:
        if strange := _not_low_rank(plan):
            return Choice("fold", f"{strange}, which has no side path of low rank")
    return Choice("inject", f"{len(plans)} prompts with mixtures of their own run as one batch")


def choose(plan: Plan, samples: int = 2, tokens: Tokens = usual) -> Choice:
    """The cheaper of `fold` and `inject` for this plan.

    Writing a mixture into the weights costs as many operations as its side paths in 0.6 to 2.5 forwards
    of one sample of a full-size model, whatever the rank, and then nothing; so it pays where a mixture lasts. Both are
    counted, layer by layer, in multiply-adds (`forms`).

    Args:
        plan: what is to be run.
        samples: rows that the denoiser is called with; 2 for one image with guidance.
        tokens: how many vectors each layer maps for a sample.

    Returns:
        `fold` where writing every mixture costs less than its side paths or a change is not of low rank,
        else `inject`.
    """
    if strange := _not_low_rank(plan):
        return Choice("fold", f"{strange}, which has no side path of low rank")
    if plan.learned is not None:
        return Choice("inject", "gates per block move many times within one call")
    if plan.branches > 1:
        return Choice("inject", f"{plan.branches} branches run as one batch")
    count, written, beside = 0, 0.0, 0.0

    @cache
    def costs(open_loras: tuple[int, ...]) -> tuple[float, float]:
        return _costs(plan, open_loras, samples, tokens)

    for open_loras, steps in _turns(plan):
        write, side = costs(open_loras)
        count, written, beside = count + 1, written + write, beside + side * steps
    what = "one mixture" if count == 1 else f"{count} mixtures"
    if written <= beside:
        share = f"{written / beside:.2g} of" if beside else "no more than"
        return Choice(
            "fold", f"{what} in {plan.steps} steps: writing costs {share} what side paths do"
        )
    ratio = f"{written / beside:.2g}"
    return Choice(
        "inject", f"{what} in {plan.steps} steps: writing costs {ratio} times what side paths do"
    )


def _turns(plan: Plan) -> Iterator[tuple[tuple[int, ...], int]]:
    """(LoRAs that are open, steps) of every mixture, in order."""
    rows = plan.gates[:, 0].tolist()
    start = 0
    for step in range(1, len(rows) + 1):
        if step == len(rows) or rows[step] != rows[start]:
            yield tuple(lora for lora, gate in enumerate(rows[start]) if gate), step - start
            start = step


def _costs(
    plan: Plan, open_loras: tuple[int, ...], samples: int, tokens: Tokens
) -> tuple[float, float]:
    """Multiply-adds of writing a mixture once, and of its side paths in one call of the denoiser."""
    ranks: dict[str, int] = {}
    sizes: dict[str, Sizes] = {}
    for lora in open_loras:
        for path, delta in plan.loras[lora].deltas.items():
            if isinstance(delta, LowRank):
                ranks[path] = ranks.get(path, 0) + delta.rank
                sizes[path] = Sizes(delta.down[0].numel(), delta.up.shape[0])
    written = beside = 0.0
    for path, size in sizes.items():
        if many := samples * tokens(path):
            write = size.fold(ranks[path])
            written += write + _WRITES
            beside += min(size.side(many, ranks[path]), write)
    return written, beside


def _not_low_rank(plan: Plan) -> str:
    """The first change that only `fold` can take, in words; empty when there is none."""
    return next(
        (
            f"LoRA {lora.name!r} has a {delta.kind} at {path}"
            for lora in plan.loras
            for path, delta in lora.deltas.items()
            if not isinstance(delta, LowRank)
        ),
        "",
    )
