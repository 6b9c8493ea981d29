"""Whatever happens inside, everything is as it was before, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lorafusion.errors import BadOption, WrongBase
from lorafusion.lora import LoRA, LowRank
from lorafusion.pipelines import apply
from lorafusion.plan import Plan
from tests import tiny
from tests.conftest import loras_for

EXECUTORS = ("fold", "inject", "reference")


def plans(pipe: Any) -> dict[str, Plan]:
    loras = loras_for(pipe)
    return {
        "merge": Plan.of(loras, torch.ones(tiny.STEPS, 1, 3)),
        "switch": Plan.of(loras, torch.eye(3)[torch.arange(tiny.STEPS) % 3].unsqueeze(1)),
        "composite": Plan.of(loras, torch.eye(3).expand(tiny.STEPS, 3, 3)),
    }


def traces(pipe: Any) -> list[str]:
    """What an executor or a watcher may leave behind: hooks, and functions put in place of others."""
    found = [
        f"{name}.{key}"
        for name, owner in [("pipe", pipe), ("scheduler", pipe.scheduler)]
        for key in ("encode_prompt", "step", "set_timesteps")
        if key in vars(owner)
    ]
    for name, component in pipe.components.items():
        if isinstance(component, nn.Module):
            for path, module in component.named_modules():
                if "forward" in vars(module) or module._forward_hooks or module._forward_pre_hooks:
                    found.append(f"{name}.{path}")
    return found


class Stop(Exception):
    """Raised half-way."""


@pytest.mark.parametrize("method", ["merge", "switch", "composite"])
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("ending", [None, Stop, KeyboardInterrupt])
def test_nothing_is_left(pipe: Any, executor: str, method: str, ending: Any) -> None:
    tiny.call(pipe, steps=1)  # transformers leaves hooks of its own at the first call
    components = dict(pipe.components)
    before, own = tiny.weights(pipe), traces(pipe)

    def on_step_end(pipe: Any, step: int, timestep: Any, kwargs: Any) -> Any:
        if ending and step == 1:
            raise ending
        return kwargs

    def run() -> None:
        with apply(pipe, plans(pipe)[method], executor=executor):
            assert traces(pipe) != own or executor + method == "foldmerge"
            tiny.call(pipe, callback_on_step_end=on_step_end)

    if ending:
        with pytest.raises(ending):
            run()
    else:
        run()
    assert tiny.weights(pipe) == before
    assert traces(pipe) == own
    assert dict(pipe.components) == components


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("executor", ["fold", "inject"])
def test_two_hundred_cycles_in_half_precision(sd: Any, dtype: torch.dtype, executor: str) -> None:
    sd.to(dtype)
    before = tiny.weights(sd)
    loras = loras_for(sd)
    gates = torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
    weight = sd.unet.mid_block.attentions[0].proj_in.weight
    pristine = weight.detach().clone()
    changed = 0
    for cycle in range(200):
        with apply(sd, Plan.of(loras, gates[cycle].expand(1, 1, 3)), executor=executor):
            changed += not torch.equal(weight, pristine)
    assert tiny.weights(sd) == before
    assert changed == (200 if executor == "fold" else 0)


def test_a_lora_that_does_not_fit_touches_nothing(sd: Any) -> None:
    good = loras_for(sd, 1)[0]
    path = "unet.mid_block.attentions.0.proj_in"
    delta = LowRank(torch.zeros(2, 99, 1, 1), torch.zeros(32, 2, 1, 1), 1.0)
    bad = LoRA("bad", {**good.deltas, path: delta}, family="sdxl")
    before = tiny.weights(sd)
    message = r"LoRA 'bad' \(made for sdxl\) does not fit.* 1 of 68 targets .*proj_in: weight is"
    with (
        pytest.raises(WrongBase, match=message),
        apply(sd, Plan.of((good, bad), torch.ones(1, 1, 2))),
    ):
        pass
    assert tiny.weights(sd) == before
    assert traces(sd) == []


def test_a_missing_component_is_named(sd: Any) -> None:
    delta = LowRank(torch.zeros(2, 9), torch.zeros(9, 2), 1.0)
    lora = LoRA("flux", {"transformer.proj_out": delta})
    with (
        pytest.raises(WrongBase, match="transformer.proj_out: no such component"),
        apply(sd, Plan.of((lora,), torch.ones(1, 1, 1))),
    ):
        pass


def test_a_pipeline_takes_one_plan_at_a_time(sd: Any) -> None:
    plan = Plan.of(loras_for(sd, 1), torch.ones(1, 1, 1))
    with (
        apply(sd, plan),
        pytest.raises(
            BadOption, match="applied to the unet of this StableDiffusionPipeline already"
        ),
        apply(sd, plan),
    ):
        pass
    with apply(sd, plan):
        tiny.call(sd)


def test_pipelines_that_share_models_take_turns(sd: Any) -> None:
    twin = type(sd)(**sd.components, requires_safety_checker=False)
    twin.unet = tiny.unet()
    plan = Plan.of(loras_for(sd, 1), torch.ones(1, 1, 1))
    before = tiny.weights(twin)
    with (
        apply(sd, plan),
        pytest.raises(BadOption, match="applied to the text_encoder of this"),
        apply(twin, plan),
    ):
        pass
    assert tiny.weights(twin) == before
