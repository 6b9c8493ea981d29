"""generate: the same as its three parts, and one image a seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    HeunDiscreteScheduler,
    PNDMScheduler,
)
from diffusers.callbacks import SDCFGCutoffCallback
from PIL import Image

import lorafusion as lf
from lorafusion.errors import (
    BadOption,
    NothingRelevant,
    RunError,
    UnknownName,
)
from lorafusion.generate import Result
from lorafusion.record import read_record
from lorafusion.routing import PipelineEncoder
from tests import tiny
from tests.generate.conftest import STEPS

PROMPT = tiny.PROMPT


def small(pipe: Any, **changes: Any) -> Image.Image:
    return pipe(
        **{
            "prompt": PROMPT,
            "num_inference_steps": STEPS,
            "width": 32,
            "height": 32,
            "generator": torch.Generator().manual_seed(0),
            **changes,
        }
    ).images[0]


@pytest.mark.parametrize("method", ["fusion", "switch", "composite"])
def test_is_route_plan_and_apply_in_one_call(
    sd: Any, library: lf.Library, make: Callable[..., Result], method: str
) -> None:
    route = lf.route(PROMPT, library, encoder=PipelineEncoder(sd))
    plan = lf.plan(method, route, steps=STEPS, strength=0.8)
    with lf.apply(sd, plan):
        by_hand = small(sd)
    result = make(method=method, strength=0.8)
    assert result.image.tobytes() == by_hand.tobytes()
    assert result.route.weights == route.weights
    assert torch.equal(result.plan.gates, plan.gates)
    assert result.image.tobytes() != small(sd).tobytes(), "the LoRAs must be seen"


@pytest.mark.parametrize("method", ["fusion", "composite"])
def test_an_image_depends_on_its_own_seed_only(make: Callable[..., Result], method: str) -> None:
    alone = {seed: make(seed=seed, method=method).image.tobytes() for seed in (1, 2, 3)}
    assert len(set(alone.values())) == 3
    for seeds in ([1, 2, 3], [3, 1, 2], [2, 2]):
        together = make(seeds=seeds, method=method)
        assert [image.tobytes() for image in together.images] == [alone[s] for s in seeds]
        assert [record.seed for record in together.records] == seeds


def test_the_record_says_what_was_done(sd: Any, make: Callable[..., Result]) -> None:
    record = make(
        method="switch", period=2, strength=0.5, seed=9, guidance_scale=3.0, executor="inject"
    ).record
    assert (record.method, record.options, record.strength) == ("switch", {"period": 2}, 0.5)
    assert (record.seed, record.steps, record.guidance_scale) == (9, STEPS, 3.0)
    assert (record.width, record.height) == (32, 32)
    assert record.scheduler == "DDIMScheduler"
    assert (record.dtype, record.device, record.executor) == ("float32", "cpu", "inject")
    # Two LoRAs, turns of two steps in four, half open: each is open a quarter on average.
    assert [used.gate for used in record.loras] == [0.25, 0.25]
    assert all(used.weight == pytest.approx(1, abs=0.05) for used in record.loras)
    assert {used.file for used in record.loras} == {"robot.safetensors", "crown.safetensors"}
    assert make().record.guidance_scale == 7.5, "the default of the pipeline, resolved"


def test_save_and_read_again(make: Callable[..., Result], tmp_path: Path) -> None:
    result = make()
    result.save(tmp_path / "x.png")
    assert read_record(tmp_path / "x.png") == result.record
    with pytest.raises(BadOption, match="2 images and one path"):
        make(seeds=[1, 2]).save(tmp_path / "y.png")


@pytest.mark.parametrize("kind", [None, HeunDiscreteScheduler, PNDMScheduler])
def test_steps_are_told_up_to_the_last(sd: Any, make: Callable[..., Result], kind: Any) -> None:
    if kind is not None:
        sd.scheduler = kind.from_config(sd.scheduler.config)
    told: list[tuple[int, int]] = []
    make(seeds=[1, 2], on_step=lambda done, every: told.append((done, every)))
    total = told[-1][1]
    assert [done for done, _ in told] == list(range(1, total + 1))
    assert {every for _, every in told} == {total}


def test_a_callback_of_the_user_keeps_working(make: Callable[..., Result]) -> None:
    seen: list[int] = []

    def halved(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        seen.append(step)
        return {"latents": tensors["latents"] * 0.5}

    call = {"callback_on_step_end": halved}
    told: list[int] = []
    with_both = make(call=call, on_step=lambda done, every: told.append(done))
    assert seen == [0, 1, 2, 3]
    assert told == [1, 2, 3, 4]
    assert with_both.image.tobytes() == make(call=call).image.tobytes()
    assert with_both.image.tobytes() != make().image.tobytes()
    assert with_both.record.unrecorded == ("callback_on_step_end",)


def test_a_callback_object_of_diffusers_keeps_working(make: Callable[..., Result]) -> None:
    cutoff = SDCFGCutoffCallback(cutoff_step_ratio=0.5)
    call = {"callback_on_step_end": cutoff}
    plain = make(call=call)
    watched = make(call=call, on_step=lambda done, every: None)
    assert watched.image.tobytes() == plain.image.tobytes()
    assert plain.image.tobytes() != make().image.tobytes()


def test_nothing_relevant(make: Callable[..., Result]) -> None:
    assert make(threshold=99.0).route.chosen == ()
    with pytest.raises(NothingRelevant, match="asks for none of 2 LoRAs; the nearest is"):
        make(threshold=99.0, require_lora=True)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"prompt": " "}, BadOption, "prompt is empty"),
        ({"steps": 0}, BadOption, "steps is 0"),
        ({"seeds": []}, BadOption, "seeds is empty"),
        ({"seed": -1}, BadOption, "seed is -1"),
        ({"seed": 2**63}, BadOption, "seed is"),
        ({"width": 33}, BadOption, "such as 32"),
        ({"height": -8}, BadOption, "height is -8"),
        ({"guidance_scale": float("nan")}, BadOption, "guidance_scale is nan"),
        ({"strength": float("inf")}, BadOption, "strength is inf"),
        ({"method": "fuson"}, UnknownName, "Did you mean 'fusion'"),
        ({"period": 3}, UnknownName, "option of method 'fusion' 'period'"),
        ({"method": "switch", "period": 0}, BadOption, "period is 0"),
        ({"executor": "folds"}, UnknownName, "Did you mean 'fold'"),
        ({"router": "cosin"}, UnknownName, "Did you mean 'cosine'"),
        ({"top_k": 0}, BadOption, "top_k is 0"),
        ({"call": {"image": 1}}, BadOption, "no such argument"),
        ({"call": {"width": 64}}, BadOption, "cannot stand in call"),
        ({"call": {"generator": None}}, BadOption, "cannot stand in call"),
    ],
)
def test_bad_options_are_refused_before_anything_runs(
    sd: Any,
    make: Callable[..., Result],
    changes: dict[str, Any],
    error: type[Exception],
    said: str,
) -> None:
    before = tiny.weights(sd)
    with pytest.raises(error, match=said) as caught:
        make(**changes)
    assert "\n" not in str(caught.value)
    assert tiny.weights(sd) == before


def test_a_failing_run_leaves_the_pipeline_as_it_was(sd: Any, make: Callable[..., Result]) -> None:
    before = tiny.weights(sd)

    def broken(done: int, every: int) -> None:
        raise RunError("stop")

    with pytest.raises(RunError):
        make(on_step=broken)
    assert tiny.weights(sd) == before
    assert make().image.tobytes() == make().image.tobytes()
