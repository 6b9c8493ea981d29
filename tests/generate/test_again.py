"""again: a recorded image, made from its record with identical pixels."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    StableDiffusionImg2ImgPipeline,
)
from PIL import Image
from safetensors.torch import save_file

import lorafusion as lf
from lorafusion.errors import (
    BadOption,
    UnknownName,
    UnreadableFile,
    WrongBase,
)
from lorafusion.generate import Result
from lorafusion.generate.describe import fingerprint
from lorafusion.routing import PipelineEncoder
from tests import tiny
from tests.generate.conftest import STEPS, library_for

PROMPT = tiny.PROMPT


def test_works_on_every_kind_of_pipeline_and_again(pipe: Any, tmp_path: Path) -> None:
    library = library_for(pipe, tmp_path / "loras")
    result = lf.generate(
        PROMPT, pipe, library, steps=STEPS, width=32, height=32, encoder=PipelineEncoder(pipe)
    )
    repeated = lf.again(result.record, library, pipe)
    assert repeated.image.tobytes() == result.image.tobytes()
    assert repeated.record == result.record


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
