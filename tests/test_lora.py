"""The algebra of deltas."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lorafusion.errors import WrongBase
from lorafusion.executors.site import sites
from lorafusion.lora import LoRA, LowRank
from tests import tiny

sizes = st.integers(1, 6)


def low_rank(rank: int, width: int, out: int, kernel: int | None, seed: int = 0) -> LowRank:
    generator = torch.Generator().manual_seed(seed)
    tail = () if kernel is None else (kernel, kernel)
    one = () if kernel is None else (1, 1)
    down = torch.randn(rank, width, *tail, generator=generator)
    return LowRank(down, torch.randn(out, rank, *one, generator=generator), 0.5)


@given(sizes, sizes, sizes, st.sampled_from([None, 1, 3]))
def test_dense_is_scale_times_up_times_down(
    rank: int, width: int, out: int, kernel: int | None
) -> None:
    delta = low_rank(rank, width, out, kernel)
    expected = torch.zeros(delta.shape, dtype=torch.float64)
    for o in range(out):
        for r in range(rank):
            expected[o] += 0.5 * delta.up[o, r].double().sum() * delta.down[r].double()
    torch.testing.assert_close(delta.dense(torch.float64), expected)


@given(sizes, sizes, sizes)
def test_linear_and_pointwise_convolution_are_the_same_delta(
    rank: int, width: int, out: int
) -> None:
    linear = low_rank(rank, width, out, None)
    pointwise = linear.fitted((out, width, 1, 1))
    assert pointwise.shape == (out, width, 1, 1)
    assert torch.equal(pointwise.dense().flatten(1), linear.dense())
    assert torch.equal(pointwise.fitted((out, width)).dense(), linear.dense())


def test_another_shape_is_refused() -> None:
    with pytest.raises(WrongBase, match=r"delta of shape \[3, 2\] for a weight of shape \[2, 3\]"):
        low_rank(1, 2, 3, None).fitted((2, 3))
    with pytest.raises(WrongBase):
        low_rank(1, 2, 3, 3).fitted((3, 2, 1, 1))


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.sampled_from([None, 3]), st.data())
def test_stacked_deltas_are_linear_in_the_gates(
    ranks: list[int], kernel: int | None, data: st.DataObject
) -> None:
    gates = data.draw(st.lists(st.floats(-2, 2), min_size=len(ranks), max_size=len(ranks)))
    layer = torch.nn.Linear(5, 4) if kernel is None else torch.nn.Conv2d(5, 4, kernel)
    deltas = [low_rank(rank, 5, 4, kernel, seed) for seed, rank in enumerate(ranks)]
    module = torch.nn.ModuleDict({"layer": layer})
    (site,) = sites(module, [{"layer": delta} for delta in deltas], torch.float64)
    expected = sum(g * d.dense(torch.float64) for g, d in zip(gates, deltas, strict=True))
    stacked = site.delta(torch.tensor(gates, dtype=torch.float64))
    torch.testing.assert_close(stacked, torch.as_tensor(expected), rtol=1e-9, atol=1e-9)


def test_a_lora_is_frozen_and_knows_its_parts() -> None:
    delta = low_rank(1, 2, 3, None)
    lora = LoRA("a", {"unet.x.to_q": delta, "text_encoder.text_model.y": delta})
    assert lora.components == ("text_encoder", "unet")
    assert lora.part("unet") == {"x.to_q": delta}
    with pytest.raises(TypeError):
        lora.deltas["unet.z"] = delta  # type: ignore[index]  # that it cannot be assigned is the test


def test_relative_error_sees_a_difference() -> None:
    assert tiny.relative_error(torch.ones(3), torch.ones(3)) == 0
    assert tiny.relative_error(torch.ones(3), 2 * torch.ones(3)) == 0.5
