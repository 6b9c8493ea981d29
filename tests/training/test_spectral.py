"""Spectral shifts: only singular values move, never below zero, and what is written is what was trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.utils import parametrize

from lorafusion import formats, training
from lorafusion.errors import UnknownName
from lorafusion.pipelines.match import check
from lorafusion.training.chance import generator
from lorafusion.training.layers import learning
from lorafusion.training.spectral import Shift, shifted
from tests import tiny
from tests.training.test_lora import RECIPE, low, same

pytest.importorskip("peft")

SHIFTS = replace(RECIPE, steps=3, accumulate=1, rank=4_096)


def train(
    pipe: Any, images: Path, work: Path, recipe: training.Recipe = SHIFTS, **given: Any
) -> training.Trained:
    shown = training.read_examples(images)
    return training.train("spectral", pipe, shown, recipe, training.About("x"), work, **given)


def test_a_weight_is_what_the_paper_says() -> None:
    """U diag(relu(s + d)) V^T in float64, for a linear layer and a convolution; unmoved at d = 0."""
    for shape in ((6, 4), (4, 6), (4, 3, 3, 3)):
        weight = torch.randn(shape, generator=generator(0))
        shift = Shift(weight)
        assert torch.equal(shift(weight), weight)
        moves = torch.linspace(-9.0, 1.0, len(shift.shift))
        shift.shift.data.copy_(moves)
        left, sizes, right = torch.linalg.svd(weight.double().flatten(1), full_matrices=False)
        expected = (left * (sizes + moves).clamp(min=0)) @ right
        assert torch.allclose(shift(weight).double().flatten(1), expected, atol=1e-5)
        whole = shift.low(weight.shape, 4_096, torch.float32)
        assert whole is not None
        assert torch.allclose(weight + whole.dense(), shift(weight), atol=1e-5)


def test_few_of_the_shifts_are_the_nearest_change_of_that_rank() -> None:
    weight = torch.randn(6, 5, generator=generator(1))
    shift = Shift(weight)
    assert shift.low(weight.shape, 2, torch.float32) is None
    shift.shift.data.copy_(torch.tensor([0.1, -0.5, 0.2, 0.9, 0.0]))
    few = shift.low(weight.shape, 2, torch.float32)
    assert few is not None
    change = (shift(weight) - weight).detach()
    left, sizes, right = torch.linalg.svd(change, full_matrices=False)
    best = (left[:, :2] * sizes[:2]) @ right[:2]
    assert few.rank == 2
    assert torch.allclose(few.dense(), best, atol=1e-5)


def test_only_singular_values_change_and_the_pipeline_is_left_alone(
    sd: Any, images: Path, tmp_path: Path
) -> None:
    before = tiny.weights(sd)
    made = train(sd, images, tmp_path / "work")
    assert tiny.weights(sd) == before
    assert not any(parametrize.is_parametrized(one) for one in sd.unet.modules())
    layers = learning(sd, SHIFTS)["unet"]
    for path, delta in low(made.lora).items():
        if not path.startswith("unet."):
            continue
        weight = layers[path.removeprefix("unet.")].weight.detach().flatten(1)
        left, _, right = torch.linalg.svd(weight, full_matrices=False)
        core = left.T @ delta.dense().flatten(1) @ right.T
        assert float((core - core.diag().diag()).abs().max()) < 2e-3 * float(core.abs().max())
    formats.write(made.lora, tmp_path / "x.safetensors", "kohya")
    back = formats.read(tmp_path / "x.safetensors")
    check(sd, back)
    assert same(back, made.lora)
    assert back.metadata["lorafusion.kind"] == "spectral"


def test_stopped_it_goes_on_with_the_same_shifts(sd: Any, images: Path, tmp_path: Path) -> None:
    whole = train(sd, images, tmp_path / "whole").lora

    def stop(done: int, most: int, loss: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(sd, images, tmp_path / "part", replace(SHIFTS, save_every=1), on_step=stop)
    rest = train(sd, images, tmp_path / "part")
    assert rest.resumed_at == 1
    assert same(rest.lora, whole)


def test_a_shift_that_cannot_be_put_in_leaves_nothing_behind(
    sd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, made = tiny.weights(sd), []

    def broken(weight: torch.Tensor) -> Shift:
        made.append(weight)
        if len(made) == 3:
            raise MemoryError
        return Shift(weight)

    monkeypatch.setattr("lorafusion.training.spectral.Shift", broken)
    with pytest.raises(MemoryError), shifted(sd, SHIFTS):
        pass
    assert tiny.weights(sd) == before
    assert not any(parametrize.is_parametrized(one) for one in sd.unet.modules())


def test_another_kind_is_refused_by_name(sd: Any, images: Path, tmp_path: Path) -> None:
    shown = training.read_examples(images)
    with pytest.raises(UnknownName, match="Did you mean 'spectral'"):
        training.train("spektral", sd, shown, SHIFTS, training.About("x"), tmp_path)
