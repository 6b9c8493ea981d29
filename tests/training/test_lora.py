"""Training on tiny pipelines: what changes, what does not, and that a killed run goes on alike."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lorafusion import formats, training
from lorafusion.errors import BadOption, RunError, WrongBase
from lorafusion.formats import container
from lorafusion.lora import LoRA, LowRank
from lorafusion.pipelines.match import check
from lorafusion.training.checkpoint import FILE
from tests import tiny

pytest.importorskip("peft")

RECIPE = training.Recipe(
    steps=5, batch=2, accumulate=2, rate=1e-2, text_rate=1e-3, rank=2, alpha=3.0, targets="all",
    size=16, save_every=2,
)  # fmt: skip
BRUSH = training.Brush(steps=2, size=16)


def prior(pipe: Any) -> list[training.Example]:
    return training.prior(pipe, ["a cat", "a crown"], 3, BRUSH)


def train(
    pipe: Any, images: Path, work: Path, recipe: training.Recipe = RECIPE, **given: Any
) -> training.Trained:
    shown = training.read_examples(images)
    return training.train("lora", pipe, shown, recipe, training.About("x"), work, **given)


def low(lora: LoRA) -> dict[str, LowRank]:
    return {path: delta for path, delta in lora.deltas.items() if isinstance(delta, LowRank)}


def same(one: LoRA, other: LoRA) -> bool:
    a, b = low(one), low(other)
    return a.keys() == b.keys() and all(
        torch.equal(a[path].down, b[path].down) and torch.equal(a[path].up, b[path].up)
        for path in a
    )


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_every_layer_learns_and_the_pipeline_is_left_alone(
    kind: str, images: Path, tmp_path: Path
) -> None:
    pipe = tiny.pipeline(kind)
    before, wanted = tiny.weights(pipe), [w.requires_grad for w in pipe.unet.parameters()]
    made = train(pipe, images, tmp_path / "work", replace(RECIPE, less_memory=kind == "sdxl"))
    assert tiny.weights(pipe) == before
    assert [w.requires_grad for w in pipe.unet.parameters()] == wanted
    assert not pipe.unet.is_gradient_checkpointing
    deltas = low(made.lora)
    assert len(deltas) > 60
    assert all(delta.up.any() for delta in deltas.values())
    assert {delta.scale for delta in deltas.values()} == {1.5}
    expected = {"text_encoder", "unet"} | ({"text_encoder_2"} if kind == "sdxl" else set())
    assert set(made.lora.components) == expected
    formats.write(made.lora, tmp_path / "x.safetensors", "kohya")
    back = formats.read(tmp_path / "x.safetensors")
    check(pipe, back)
    assert same(back, made.lora)


def test_it_learns_what_it_is_shown(sd: Any, images: Path, tmp_path: Path) -> None:
    """Overfit one picture: the error at the end is clearly below that at the beginning."""
    for path in images.glob("[12].*"):
        path.unlink()
    recipe = training.Recipe(
        steps=60, batch=4, rate=2e-2, rank=4, targets="all", size=16, save_every=15, snr=0.0
    )
    curve = train(sd, images, tmp_path / "work", recipe).curve
    assert [entry.step for entry in curve] == [15, 30, 45, 60]
    assert curve[-1].loss < 0.8 * curve[0].loss


def test_killed_half_way_it_ends_with_the_same_weights(
    images: Path, tmp_path: Path, cache: Path
) -> None:
    pipe = tiny.pipeline("sd")
    whole = train(pipe, images, tmp_path / "whole", prior=prior(pipe))
    assert whole.resumed_at == 0
    words = [sys.executable, "-m", "tests.training.killed", str(images), str(tmp_path / "killed")]
    ran = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert len(list((cache / "prior").iterdir())) == 3  # another process finds them too
    rest = train(pipe, images, tmp_path / "killed", prior=prior(pipe))
    assert rest.resumed_at == RECIPE.save_every
    assert same(rest.lora, whole.lora)
    assert [entry.loss for entry in rest.curve] == [entry.loss for entry in whole.curve]
    other = train(pipe, images, tmp_path / "other", replace(RECIPE, seed=1), prior=prior(pipe))
    assert not same(other.lora, whole.lora)


def test_the_class_is_drawn_once_and_matters(
    sd: Any, images: Path, tmp_path: Path, cache: Path
) -> None:
    drawn = prior(sd)
    assert [one.caption for one in drawn] == ["a cat", "a crown", "a cat"]
    times = [one.path.stat().st_mtime_ns for one in drawn]
    assert [one.path.stat().st_mtime_ns for one in prior(sd)] == times
    assert {one.path.parent.parent for one in drawn} == {cache}
    assert training.prior(sd, [], 3, BRUSH) == []
    recipe = replace(RECIPE, steps=2)
    alone = train(sd, images, tmp_path / "alone", recipe).lora
    beside = train(sd, images, tmp_path / "beside", recipe, prior=drawn).lora
    unweighed = replace(recipe, prior_weight=0.0)
    ignored = train(sd, images, tmp_path / "ignored", unweighed, prior=drawn).lora
    assert not same(alone, beside)
    assert not same(beside, ignored)


def test_a_checkpoint_of_other_settings_is_refused(sd: Any, images: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=2)
    train(sd, images, tmp_path, recipe)
    with pytest.raises(BadOption, match="was begun with rank 2, now 3; go on with the same"):
        train(sd, images, tmp_path, replace(recipe, rank=3))
    (images / "0.txt").write_text("something else")
    with pytest.raises(BadOption, match="was begun with pictures"):
        train(sd, images, tmp_path, recipe)
    assert train(sd, images, tmp_path, recipe, restart=True).resumed_at == 0
    foreign = tiny.state_dict(sd, seed=1)
    container.save(tmp_path / FILE, foreign, {})
    with pytest.raises(BadOption, match="is not a checkpoint"):
        train(sd, images, tmp_path, recipe)


def test_samples_are_made_on_the_way_and_change_nothing(
    sd: Any, images: Path, tmp_path: Path
) -> None:
    samples = training.Samples(("a robot", "a cat"), tmp_path / "samples", 2, BRUSH)
    recipe = replace(RECIPE, steps=3)
    with_samples = train(sd, images, tmp_path / "one", recipe, samples=samples).lora
    assert same(with_samples, train(sd, images, tmp_path / "two", recipe).lora)
    names = [f"step-0000{step}-{number}.png" for step in (2, 3) for number in (0, 1)]
    assert sorted(path.name for path in samples.folder.iterdir()) == names
    first, last = (samples.folder / names[place] for place in (0, 2))
    assert first.read_bytes() != last.read_bytes()


def test_bfloat16_learns_about_the_same(sd: Any, images: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, text_rate=0.0, steps=3)
    exact = train(sd, images, tmp_path / "a", recipe)
    rough = train(sd, images, tmp_path / "b", replace(recipe, precision="bfloat16"))
    assert set(exact.lora.components) == {"unet"}
    assert not same(exact.lora, rough.lora)
    assert rough.curve[-1].loss == pytest.approx(exact.curve[-1].loss, rel=0.05)


def test_a_loss_that_breaks_is_said(sd: Any, images: Path, tmp_path: Path) -> None:
    with torch.no_grad():
        sd.unet.conv_out.bias.fill_(float("inf"))
    with pytest.raises(RunError, match=r"the loss is (inf|nan) in step 1; train with a lower rate"):
        train(sd, images, tmp_path)


@pytest.mark.parametrize("kind", ["sd3", "flux"])
def test_flow_matching_is_refused(kind: str, images: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongBase, match="cannot be trained here|has no unet"):
        train(tiny.pipeline(kind), images, tmp_path)


def test_a_size_that_the_model_cannot_make_is_refused(
    sd: Any, images: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadOption, match="size is 20; .* multiples of 8, such as 16"):
        train(sd, images, tmp_path, replace(RECIPE, size=20))
