"""generate: the same as its three parts, one image a seed, and made again from its record."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    HeunDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionImg2ImgPipeline,
)
from diffusers.callbacks import SDCFGCutoffCallback
from PIL import Image
from safetensors.torch import save_file

import lorafusion as lf
from lorafusion.errors import (
    BadOption,
    NothingRelevant,
    RunError,
    UnknownName,
    UnreadableFile,
    WrongBase,
)
from lorafusion.generate import Result
from lorafusion.generate.describe import fingerprint
from lorafusion.record import read_record
from lorafusion.routing import PipelineEncoder
from tests import tiny

PROMPT = tiny.PROMPT
STEPS = 4


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORAFUSION_CACHE", str(tmp_path_factory.mktemp("cache")))


def library_for(pipe: Any, folder: Path, names: tuple[str, ...] = ("robot", "crown")) -> lf.Library:
    folder.mkdir(exist_ok=True)
    for seed, name in enumerate(names):
        save_file(tiny.state_dict(pipe, seed=seed), folder / f"{name}.safetensors")
    return lf.Library(folder)


@pytest.fixture
def library(sd: Any, tmp_path: Path) -> lf.Library:
    return library_for(sd, tmp_path / "loras")


@pytest.fixture
def make(sd: Any, library: lf.Library) -> Callable[..., Result]:
    """`generate` with everything that makes it fast."""

    def made(prompt: str = PROMPT, **changes: Any) -> Result:
        small = {"steps": STEPS, "width": 32, "height": 32, "encoder": PipelineEncoder(sd)}
        return lf.generate(prompt, sd, library, **(small | changes))

    return made


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


def test_works_on_every_kind_of_pipeline_and_again(pipe: Any, tmp_path: Path) -> None:
    library = library_for(pipe, tmp_path / "loras")
    result = lf.generate(
        PROMPT, pipe, library, steps=STEPS, width=32, height=32, encoder=PipelineEncoder(pipe)
    )
    repeated = lf.again(result.record, library, pipe)
    assert repeated.image.tobytes() == result.image.tobytes()
    assert repeated.record == result.record


def test_the_record_says_what_was_done(sd: Any, make: Callable[..., Result]) -> None:
    record = make(method="switch", period=2, strength=0.5, seed=9, guidance_scale=3.0).record
    assert (record.method, record.options, record.strength) == ("switch", {"period": 2}, 0.5)
    assert (record.seed, record.steps, record.guidance_scale) == (9, STEPS, 3.0)
    assert (record.width, record.height) == (32, 32)
    assert record.scheduler == "DDIMScheduler"
    assert (record.dtype, record.device, record.executor) == ("float32", "cpu", "inject")
    # Two LoRAs, turns of two steps in four, half open: each is open a quarter on average.
    assert [used.gate for used in record.loras] == [0.25, 0.25]
    assert sum(used.weight for used in record.loras) == pytest.approx(1)
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
    assert make(threshold=1.0).route.chosen == ()
    with pytest.raises(NothingRelevant, match="asks for none of 2 LoRAs; the nearest is"):
        make(threshold=1.0, require_lora=True)


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


def test_another_scheduler_is_put_in_and_the_own_one_back(
    sd: Any, library: lf.Library, make: Callable[..., Result]
) -> None:
    # Of this one, the configuration holds an infinite number, and each step draws noise.
    own = sd.scheduler
    sd.scheduler = DPMSolverMultistepScheduler.from_config(
        own.config, algorithm_type="sde-dpmsolver++", use_karras_sigmas=True
    )
    result = make(seed=3)
    record = lf.Record.from_json(result.record.to_json())
    sd.scheduler = later = EulerAncestralDiscreteScheduler.from_config(own.config)
    assert lf.again(record, library, sd).image.tobytes() == result.image.tobytes()
    assert sd.scheduler is later
    assert make(seed=3).image.tobytes() != result.image.tobytes()


def test_a_record_cannot_name_anything_but_a_scheduler(
    sd: Any, library: lf.Library, make: Callable[..., Result]
) -> None:
    own = sd.scheduler
    for name in ("StableDiffusionPipeline", "logging", "NoScheduler"):
        record = dataclasses.replace(make().record, scheduler=name)
        with pytest.raises(UnknownName, match=name):
            lf.again(record, library, sd)
        assert sd.scheduler is own


def test_again_uses_the_weights_of_the_record_and_not_a_new_routing(
    sd: Any, library: lf.Library, make: Callable[..., Result]
) -> None:
    made = make().record
    edited = tuple(
        dataclasses.replace(used, weight=weight)
        for used, weight in zip(made.loras, (0.9, 0.0), strict=True)
    )
    result = lf.again(dataclasses.replace(made, loras=edited), library, sd)
    assert list(result.route.weights.values()) == [0.9, 0.0]
    assert result.record.pixels != made.pixels


def test_again_finds_moved_and_renamed_files(
    sd: Any, library: lf.Library, make: Callable[..., Result], tmp_path: Path
) -> None:
    record = make(method="switch", period=1).record
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    # The names are exchanged, so that a search by name would find the wrong ones.
    shutil.copy(library["robot"].path, moved / "crown.safetensors")
    shutil.copy(library["crown"].path, moved / "robot.safetensors")
    again = lf.again(record, lf.Library(moved), sd)
    assert again.record.pixels == record.pixels


def test_again_refuses_a_missing_or_changed_file(
    sd: Any, library: lf.Library, make: Callable[..., Result]
) -> None:
    record = make().record
    path = library["robot"].path
    save_file(tiny.state_dict(sd, seed=77), path)
    with pytest.raises(UnreadableFile, match=r"'robot\.safetensors' has other content"):
        lf.again(record, lf.Library(library.folder), sd)
    path.unlink()
    with pytest.raises(UnreadableFile, match=r"'robot\.safetensors' is not there"):
        lf.again(record, lf.Library(library.folder), sd)


def test_again_notices_a_file_that_changes_after_the_scan(
    sd: Any, library: lf.Library, make: Callable[..., Result]
) -> None:
    record = make().record
    scanned = lf.Library(library.folder)
    assert all(entry.sha256 for entry in scanned)
    save_file(tiny.state_dict(sd, seed=77), library["robot"].path)
    with pytest.raises(UnreadableFile, match="changed since the library was scanned"):
        lf.again(record, scanned, sd)


def test_again_refuses_another_base(
    sd: Any, library: lf.Library, make: Callable[..., Result]
) -> None:
    record = make().record
    with pytest.raises(WrongBase, match="StableDiffusionPipeline, float32, fingerprint"):
        lf.again(record, library, tiny.pipeline("sd", seed=1))
    assert fingerprint(tiny.pipeline("sd", seed=0)) == record.fingerprint


def test_what_json_cannot_hold_must_be_given_again(sd: Any, tmp_path: Path) -> None:
    picture = Image.linear_gradient("L").resize((32, 32)).convert("RGB")
    pipe = StableDiffusionImg2ImgPipeline(**sd.components, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    library = library_for(pipe, tmp_path / "loras")
    call = {"image": picture, "strength": 0.5}
    result = lf.generate(
        PROMPT, pipe, library, steps=STEPS, encoder=PipelineEncoder(pipe), call=call
    )
    assert (result.record.call, result.record.unrecorded) == ({"strength": 0.5}, ("image",))
    with pytest.raises(BadOption, match="could not hold image"):
        lf.again(result.record, library, pipe)
    repeated = lf.again(result.record, library, pipe, call={"image": picture})
    assert repeated.record.pixels == result.record.pixels


def test_a_failing_run_leaves_the_pipeline_as_it_was(sd: Any, make: Callable[..., Result]) -> None:
    before = tiny.weights(sd)

    def broken(done: int, every: int) -> None:
        raise RunError("stop")

    with pytest.raises(RunError):
        make(on_step=broken)
    assert tiny.weights(sd) == before
    assert make().image.tobytes() == make().image.tobytes()
