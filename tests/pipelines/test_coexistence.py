"""What the user does with the pipeline goes on working inside `apply`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import (
    ControlNetModel,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
)

from lorafusion.errors import RunError
from lorafusion.pipelines import apply
from lorafusion.plan import Plan
from tests import tiny
from tests.conftest import loras_for
from tests.pipelines.test_methods import opened
from tests.pipelines.test_restore import plans


@pytest.mark.parametrize("method", ["merge", "switch", "composite"])
def test_callbacks_of_the_user_are_called_every_step(pipe: Any, method: str) -> None:
    steps = []

    def on_step_end(_: Any, step: int, timestep: Any, kwargs: Any) -> Any:
        steps.append(step)
        return kwargs

    with apply(pipe, plans(pipe)[method]):
        tiny.call(pipe, callback_on_step_end=on_step_end)
    assert steps == list(range(tiny.STEPS))


@pytest.mark.parametrize("method", ["merge", "switch", "composite"])
def test_controlnet_steers_under_every_executor(sd: Any, method: str) -> None:
    torch.manual_seed(1)
    control = ControlNetModel.from_unet(sd.unet, conditioning_embedding_out_channels=(4, 8)).eval()
    for block in [*control.controlnet_down_blocks, control.controlnet_mid_block]:
        torch.nn.init.normal_(block.weight, std=0.5)
    steered = StableDiffusionControlNetPipeline(
        **sd.components, controlnet=control, requires_safety_checker=False
    )
    steered.set_progress_bar_config(disable=True)
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    made = {}
    for executor in ("reference", "fold", "inject"):
        with apply(steered, plans(sd)[method], executor=executor):
            made[executor] = tiny.call(steered, image=image)
    with apply(sd, plans(sd)[method]):
        unsteered = tiny.call(sd)
    assert tiny.relative_error(made["fold"], made["reference"]) <= 1e-5
    assert tiny.relative_error(made["inject"], made["reference"]) <= 1e-5
    assert tiny.relative_error(unsteered, made["fold"]) > 1e-2


def test_img2img_takes_the_later_part_of_the_plan(sd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    second = StableDiffusionImg2ImgPipeline(**sd.components, requires_safety_checker=False)
    second.set_progress_bar_config(disable=True)
    loras = loras_for(sd, text=False)
    plan = Plan.of(loras, torch.eye(3)[torch.arange(12) // 4].unsqueeze(1))
    image = torch.rand(1, 3, 16, 16)
    calls = opened(
        second, plan, monkeypatch, steps=12, image=image, strength=0.5, height=None, width=None
    )
    assert calls == [1, 1, 2, 2, 2, 2]


def test_several_images_of_several_prompts_each_see_their_own_text(sd: Any) -> None:
    """Every row of a batch has its own prompt, under every branch's own text encoder."""
    plan = plans(sd)["composite"]
    prompts = [tiny.PROMPT, "a cat in a library"]
    noise = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    with apply(sd, plan, executor="inject"):
        together = tiny.call(sd, prompt=prompts, num_images_per_prompt=2, latents=noise)
        alone = [
            tiny.call(sd, prompt=prompts[i // 2], latents=noise[i : i + 1], negative_prompt="")
            for i in range(4)
        ]
    assert tiny.relative_error(together, torch.cat(alone)) <= 1e-5


def test_the_text_encoder_takes_part_in_every_turn(sd: Any) -> None:
    """With the text encoders' gates closed the picture differs: each turn had its own encoding."""
    plan = plans(sd)["switch"]
    closed = Plan(plan.loras, plan.gates, plan.mix, torch.zeros_like(plan.gates))
    first = Plan(plan.loras, plan.gates, plan.mix, plan.gates[:1].expand_as(plan.gates).clone())
    with apply(sd, plan):
        own = tiny.call(sd)
    for other in (closed, first):
        with apply(sd, other):
            assert tiny.relative_error(tiny.call(sd), own) > 1e-3


def test_embeddings_of_the_user_are_taken_as_they_are(sd: Any) -> None:
    embeds, negative = sd.encode_prompt(tiny.PROMPT, "cpu", 1, True, "")
    plan = plans(sd)["composite"]
    shut = Plan(plan.loras, plan.gates, plan.mix, torch.zeros_like(plan.gates))
    given = {"prompt": None, "prompt_embeds": embeds, "negative_prompt_embeds": negative}
    with apply(sd, plan):
        ours = tiny.call(sd, **given)
    with apply(sd, shut):
        expected = tiny.call(sd, negative_prompt="")
    assert tiny.relative_error(ours, expected) <= 1e-5


def test_an_exchanged_scheduler_is_noticed(sd: Any) -> None:
    from diffusers import EulerDiscreteScheduler

    plan = plans(sd)["switch"]
    with apply(sd, plan), pytest.raises(RunError, match=r"set pipe\.scheduler before apply"):
        sd.scheduler = EulerDiscreteScheduler.from_config(sd.scheduler.config)
        tiny.call(sd)
