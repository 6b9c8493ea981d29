"""Methods on a tiny pipeline: what the card says is what the denoiser does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from lorafusion.base import Base
from lorafusion.export import fused
from lorafusion.lora import LoRA, Spectral
from lorafusion.methods import plan
from lorafusion.methods.loratorio import Patchwise
from lorafusion.mixer import Moment
from lorafusion.pipelines import Insight, apply
from lorafusion.plan import Candidate, Plan, Route
from tests import tiny
from tests.conftest import loras_for, shared_pipeline
from tests.executors.test_agreement import predictions
from tests.methods.given import NAMES, Given, evenly
from tests.methods.test_contracts import card

BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0"


@pytest.fixture
def sd() -> Any:
    """One for all, since whatever is applied to it is undone."""
    return shared_pipeline("sd")


def routed(loras: Sequence[LoRA]) -> Route:
    named = [Candidate(Given(one), 1.0, 1.0, phrase="a robot") for one in loras]
    return Route(tiny.PROMPT, tuple(named))


def planned(name: str, pipe: Any, loras: Sequence[LoRA]) -> Plan:
    """The method's plan, with signals measured on the pipeline where it asks for them."""
    asked, width = routed(loras), pipe.unet.get_submodule(BLOCK).norm1.normalized_shape[0]
    options = evenly(name, asked, BLOCK, width)
    return plan(name, asked, tiny.STEPS, base=Insight(pipe, steps=2), **options)


@pytest.mark.parametrize("name", NAMES)
def test_the_denoiser_predicts_as_often_as_declared(name: str, sd: Any) -> None:
    count = 2 if card(name).pairs else 3
    made = planned(name, sd, loras_for(sd, count, text=False))
    calls: list[int] = []
    handle = sd.unet.conv_in.register_forward_hook(lambda *_: calls.append(1))
    # Fold runs branch after branch; gates inside of the denoiser are for inject alone.
    with apply(sd, made, executor="inject" if made.learned is not None else "fold"):
        tiny.call(sd)
    handle.remove()
    assert len(calls) == tiny.STEPS * card(name).calls.of(count)


@pytest.mark.parametrize("name", [name for name in NAMES if card(name).alone])
def test_one_lora_alone_makes_the_picture_of_merge(name: str, sd: Any) -> None:
    loras = loras_for(sd, 1)
    with apply(sd, planned("merge", sd, loras)):
        merged = tiny.call(sd, guidance_scale=5.0)
    with apply(sd, planned(name, sd, loras)):
        ours = tiny.call(sd, guidance_scale=5.0)
    assert tiny.relative_error(ours, merged) <= 1e-4


@pytest.mark.parametrize("name", [name for name in NAMES if card(name).exportable])
def test_the_exported_file_makes_the_picture_of_the_plan(name: str, sd: Any) -> None:
    made = planned(name, sd, loras_for(sd, 2))
    with apply(sd, made):
        ours = tiny.call(sd, guidance_scale=5.0)
    written = fused(made).lora
    with apply(sd, Plan.of((written,), torch.ones(tiny.STEPS, 1, 1))):
        theirs = tiny.call(sd, guidance_scale=5.0)
    assert tiny.relative_error(ours, theirs) <= 1e-4


@pytest.mark.parametrize("executor", ["fold", "inject"])
def test_a_mixer_is_given_every_branch_and_the_halves(executor: str, sd: Any) -> None:
    loras = loras_for(sd, 2)
    closed = torch.zeros(tiny.STEPS, 1, 2)
    alone = [predictions(sd, planned("merge", sd, loras[i : i + 1]), "fold")[0] for i in (0, 1)]
    base = predictions(sd, Plan.of(loras, closed), "fold")[0]
    seen = predictions(sd, planned("loratorio", sd, loras), executor)[0]
    mixer = planned("loratorio", sd, loras).mixer
    assert isinstance(mixer, Patchwise)
    half = torch.arange(len(base)) < len(base) // 2
    expected = mixer(torch.stack([*alone, base]), Moment(0, tiny.STEPS, half))
    assert tiny.relative_error(seen, expected) <= 1e-4
    other = mixer(torch.stack([*alone, base]), Moment(0, tiny.STEPS, ~half))
    assert tiny.relative_error(seen, other) > 1e-3


def test_insight_is_a_base_and_leaves_no_trace(pipe: Any) -> None:
    loras = loras_for(pipe, 2)
    insight = Insight(pipe, steps=2)
    assert isinstance(insight, Base)
    targets = sorted(loras[0].deltas)
    picked = [targets[0], targets[-1]]
    probes = {target: loras[0].deltas[target].down.float() for target in picked}  # type: ignore[union-attr]
    found = insight.signals(loras[0], tiny.PROMPT, probes)
    for target in picked:
        matrix = found[target]
        assert matrix.shape == (2, 2)
        assert torch.linalg.eigvalsh(matrix).min() > -1e-9
        weight = insight.weight(target)
        assert weight.shape[0] == loras[0].deltas[target].shape[0]
    assert all(not module._forward_pre_hooks for module in pipe.components["vae"].modules())


def test_signals_are_means_over_what_layers_see(sd: Any) -> None:
    """With every input as its own probe, the diagonal holds the mean squares of the inputs."""
    lora = loras_for(sd, 1, text=False)[0]
    target = next(t for t in lora.deltas if t.endswith("to_q"))
    layer = sd.unet.get_submodule(target.removeprefix("unet."))
    inputs: list[torch.Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, args: inputs.append(args[0].double()))
    width = layer.in_features
    found = Insight(sd, steps=2).signals(lora, tiny.PROMPT, {target: torch.eye(width)})[target]
    handle.remove()
    flat = torch.cat([x.flatten(0, -2) for x in inputs])
    torch.testing.assert_close(found, flat.T @ flat / len(flat), atol=1e-6, rtol=1e-5)


def test_spectral_shifts_are_folded_as_the_reference_has_them(sd: Any) -> None:
    target = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    weight = sd.unet.get_submodule(target).weight
    shift = torch.linspace(1.0, -1.0, min(weight.shape))
    lora = LoRA("shifts", {f"unet.{target}": Spectral(shift, tuple(weight.shape))})
    plan = Plan.of((lora,), torch.full((tiny.STEPS, 1, 1), 0.7))
    with apply(sd, plan) as choice:
        folded = tiny.call(sd)
    assert choice.name == "fold"
    with apply(sd, plan, executor="reference"):
        judge = tiny.call(sd)
    assert tiny.relative_error(folded, judge) <= 1e-5
    assert tiny.relative_error(tiny.call(sd), judge) > 1e-3
