"""Switch and composite against a plain restatement of the paper's loops."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch

from lorafusion.errors import BadOption
from lorafusion.executors.inject import Inject
from lorafusion.methods.composite import composite
from lorafusion.methods.switch import switch
from lorafusion.pipelines import apply
from lorafusion.plan import Candidate, Plan
from tests import tiny
from tests.conftest import loras_for
from tests.executors.test_agreement import predictions
from tests.pipelines import loops


class Given:
    """A source whose LoRA is at hand."""

    def __init__(self, lora: Any) -> None:
        self.name, self.category, self._lora = lora.name, lora.category, lora

    def load(self) -> Any:
        return self._lora


def candidates(loras: Any, weights: Any = (0.5, 0.3, 0.2)) -> list[Candidate]:
    return [
        Candidate(Given(lora), weight, weight) for lora, weight in zip(loras, weights, strict=True)
    ]


@pytest.mark.parametrize("executor", ["fold", "inject"])
@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("text", [False, True], ids=["denoiser", "with text encoder"])
def test_composite_is_the_mean_of_single_predictions(
    sd: Any, executor: str, guidance: float, text: bool
) -> None:
    loras = loras_for(sd, text=text)
    singles = [loops.with_lora(sd, lora) for lora in loras]

    def mean(k: int, latents: Any, timestep: Any) -> list[torch.Tensor]:
        each = [loops.predict(one, latents, timestep, guidance) for one in singles]
        return [torch.stack(column).mean(0) for column in zip(*each, strict=True)]

    expected = loops.run(sd, tiny.STEPS, guidance, mean)
    plan = composite(candidates(loras), loras, tiny.STEPS)
    with apply(sd, plan, executor=executor):
        ours = tiny.call(sd, guidance_scale=guidance)
    assert tiny.relative_error(ours, expected) <= 1e-5
    assert tiny.relative_error(tiny.call(sd, guidance_scale=guidance), expected) > 1e-2


def test_composite_with_routed_weights_is_the_weighted_mean(sd: Any) -> None:
    loras = loras_for(sd)
    singles = [loops.with_lora(sd, lora) for lora in loras]
    share = torch.tensor([0.5, 0.3, 0.2])

    def mean(k: int, latents: Any, timestep: Any) -> list[torch.Tensor]:
        each = [loops.predict(one, latents, timestep, 5.0) for one in singles]
        return [torch.einsum("l,l...->...", share, torch.stack(c)) for c in zip(*each, strict=True)]

    expected = loops.run(sd, tiny.STEPS, 5.0, mean)
    plan = composite(candidates(loras, (5.0, 3.0, 2.0)), loras, tiny.STEPS, weights="routed")
    with apply(sd, plan):
        ours = tiny.call(sd, guidance_scale=5.0)
    assert tiny.relative_error(ours, expected) <= 1e-5


@pytest.mark.parametrize("executor", ["fold", "inject"])
def test_composite_averages_what_each_lora_predicts_alone(pipe: Any, executor: str) -> None:
    """On every kind of pipeline: each branch has its own text encoders, as if it were alone."""
    loras = loras_for(pipe)
    alone = [predictions(pipe, Plan.of((lora,), torch.ones(1, 1, 1)), "fold")[0] for lora in loras]
    plan = composite(candidates(loras), loras, tiny.STEPS)
    together = predictions(pipe, plan, executor)[0]
    assert tiny.relative_error(together, torch.stack(alone).mean(0)) <= 1e-5
    assert tiny.relative_error(together, alone[0]) > 1e-2


@pytest.mark.parametrize("executor", ["fold", "inject"])
@pytest.mark.parametrize("scheduler", ["DDIMScheduler", "HeunDiscreteScheduler"])
@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_switch_takes_turns_as_the_loop_does(
    sd: Any, executor: str, scheduler: str, guidance: float
) -> None:
    sd.scheduler = getattr(diffusers, scheduler).from_config(sd.scheduler.config)
    loras = loras_for(sd)
    singles = [loops.with_lora(sd, lora) for lora in loras]
    steps, period = 7, 2

    def turn(k: int, latents: Any, timestep: Any) -> list[torch.Tensor]:
        step = k // sd.scheduler.order
        return loops.predict(singles[step // period % 3], latents, timestep, guidance)

    expected = loops.run(sd, steps, guidance, turn)
    plan = switch(candidates(loras), loras, steps, period=period)
    with apply(sd, plan, executor=executor):
        ours = tiny.call(sd, guidance_scale=guidance, steps=steps)
    assert tiny.relative_error(ours, expected) <= 1e-5


SCHEDULERS = {
    "DDIMScheduler": 30,
    "DDPMScheduler": 30,
    "DEISMultistepScheduler": 30,
    "DPMSolverMultistepScheduler": 30,
    "DPMSolverSinglestepScheduler": 30,
    "EulerAncestralDiscreteScheduler": 30,
    "EulerDiscreteScheduler": 30,
    "HeunDiscreteScheduler": 59,
    "KDPM2DiscreteScheduler": 59,
    "LCMScheduler": 30,
    "PNDMScheduler": 31,
    "UniPCMultistepScheduler": 30,
}
"""Scheduler -> calls of the denoiser in 30 steps."""


def opened(sd: Any, plan: Plan, monkeypatch: pytest.MonkeyPatch, **kwargs: Any) -> list[int]:
    """Which LoRA was open in each call of the denoiser."""
    gates: list[torch.Tensor] = []
    original = Inject.predict

    def watched(self: Inject, calls: Any, rows: torch.Tensor) -> Any:
        gates.append(rows[0])
        return original(self, calls, rows)

    monkeypatch.setattr(Inject, "predict", watched)
    with apply(sd, plan, executor="inject"):
        tiny.call(sd, **kwargs)
    assert all(row.sum() == 1 for row in gates)
    return [int(row.argmax()) for row in gates]


@pytest.mark.parametrize("name", SCHEDULERS)
def test_each_lora_is_open_exactly_ten_of_thirty_steps(
    sd: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {
        k: v for k, v in sd.scheduler.config.items() if k not in ("_class_name", "clip_sample")
    }
    sd.scheduler = getattr(diffusers, name).from_config(config | {"skip_prk_steps": True})
    loras = loras_for(sd, text=False)
    calls = opened(sd, switch(candidates(loras), loras, 30), monkeypatch, steps=30)
    assert len(calls) == SCHEDULERS[name]
    turns = [turn for s in range(30) for turn in [s // 5 % 3] * calls_in_step(name, s)]
    assert calls == turns
    assert [sum(s // 5 % 3 == lora for s in range(30)) for lora in range(3)] == [10, 10, 10]


def calls_in_step(name: str, step: int) -> int:
    """Second-order schedulers call twice in all steps but the last; PNDM repeats its first."""
    if SCHEDULERS[name] == 59:
        return 1 if step == 29 else 2
    return 2 if SCHEDULERS[name] == 31 and step == 0 else 1


def test_the_same_plan_serves_run_after_run(sd: Any) -> None:
    loras = loras_for(sd)
    with apply(sd, switch(candidates(loras), loras, tiny.STEPS, period=1)):
        first, second = tiny.call(sd), tiny.call(sd)
    assert torch.equal(first, second)


def test_another_number_of_steps_is_refused(sd: Any) -> None:
    loras = loras_for(sd)
    message = r"changes over 4 steps but the pipeline is to run 3; make the plan with steps=3"
    with (
        apply(sd, switch(candidates(loras), loras, 4, period=1)),
        pytest.raises(BadOption, match=message),
    ):
        tiny.call(sd, steps=3)
