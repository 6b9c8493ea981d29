"""The algebra of the other kinds: rows, low rank at a kept energy, exact stacks."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lorafusion.doctor.factors import factors
from lorafusion.errors import BadOption, UnreadTensors, WrongBase
from lorafusion.lora import (
    Dense,
    DoRA,
    Free,
    LoHa,
    LoKr,
    LowRank,
    Spectral,
    dense_on,
    stacked,
    truncated,
)

seeds = st.integers(0, 99)


def kinds(seed: int, kernel: bool = False) -> list[Free]:
    torch.manual_seed(seed)
    k, n = ((3, 3), 9) if kernel else ((), 1)
    one = (1,) * len(k)
    draw = torch.randn
    return [
        LowRank(draw(2, 6, *k), draw(12, 2, *one), 0.5),
        LoHa(draw(12, 2), draw(2, 6 * n), draw(12, 3), draw(3, 6 * n), 0.5, (12, 6, *k)),
        LoHa(draw(12, 1), draw(1, 6 * n), draw(12, 3), draw(3, 6 * n), 0.5, (12, 6, *k)),
        LoKr(draw(3, 2), draw(4, 3 * n), 0.5, (12, 6, *k)),
        LoKr(draw(3, 2), draw(4, 1), 0.5, (12, 6, *k), None, draw(1, 3 * n)),
        LoKr(draw(3, 1), draw(4, 2), 0.5, (12, 6, *k), draw(1, 2), draw(2, 3 * n)),
        Dense(draw(12, 6, *k)),
    ]


@given(seeds, st.booleans(), st.integers(0, 11), st.integers(1, 12))
def test_rows_are_the_rows_of_the_change(seed: int, kernel: bool, start: int, count: int) -> None:
    stop = min(start + count, 12)
    for delta in kinds(seed, kernel):
        whole, part = delta.dense(torch.float64), delta.rows(start, stop)
        assert part.shape == (stop - start, *delta.shape[1:])
        torch.testing.assert_close(
            part.dense(torch.float64), whole[start:stop], rtol=1e-5, atol=1e-5
        )
        dora, base = DoRA(delta, torch.rand(12, 1) + 0.1), torch.randn(whole.shape)
        torch.testing.assert_close(
            dora.rows(start, stop).dense_on(base[start:stop], torch.float64),
            dora.dense_on(base, torch.float64)[start:stop],
            rtol=1e-4, atol=1e-4,
        )  # fmt: skip


@given(seeds, st.booleans(), st.floats(0.05, 1.0))
def test_the_kept_energy_is_what_is_said_and_enough(seed: int, kernel: bool, share: float) -> None:
    for delta in kinds(seed, kernel):
        low, kept = truncated(delta, energy=share)
        whole = delta.dense(torch.float64)
        lost = (whole - low.dense(torch.float64)).square().sum() / whole.square().sum()
        assert kept >= share - 1e-6
        assert math.isclose(1 - float(lost), kept, abs_tol=1e-5)
        if low.rank > 1:  # and with one direction less it were not enough
            assert truncated(delta, rank=low.rank - 1)[1] < share


@given(seeds, st.booleans(), st.integers(1, 20))
def test_no_other_change_of_that_rank_is_nearer(seed: int, kernel: bool, rank: int) -> None:
    for delta in kinds(seed, kernel):
        low, _ = truncated(delta, rank=rank)
        assert low.rank <= rank
        assert low.shape == delta.shape
        whole = delta.dense(torch.float64).flatten(1)
        sizes = torch.linalg.svdvals(whole)
        lost = (whole - low.dense(torch.float64).flatten(1)).norm()
        assert float(lost) <= float(sizes[rank:].norm()) + 1e-4 * float(sizes[0])


@given(seeds, st.booleans(), st.lists(st.floats(-2, 2), min_size=1, max_size=4))
def test_a_stack_is_the_weighted_sum(seed: int, kernel: bool, weights: list[float]) -> None:
    lows = [kinds(seed + i, kernel)[0] for i in range(len(weights))]
    made = stacked([(w, low) for w, low in zip(weights, lows, strict=True)])
    right = sum(w * low.dense(torch.float64) for w, low in zip(weights, lows, strict=True))
    torch.testing.assert_close(made.dense(torch.float64), right, rtol=1e-5, atol=1e-5)
    assert made.rank == 2 * len(weights)


def test_a_change_of_zeros_keeps_everything() -> None:
    low, kept = truncated(Dense(torch.zeros(3, 4)), energy=0.9)
    assert kept == 1.0
    assert low.rank == 1
    assert not low.dense().any()


@pytest.mark.parametrize(
    "options", [{"rank": 0}, {"energy": 0.0}, {"energy": 1.1}, {"energy": math.nan}]
)
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(BadOption, match="expected"):
        truncated(kinds(0)[0], **options)


@given(seeds)
def test_shapes_that_differ_are_refused(seed: int) -> None:
    for delta in kinds(seed, kernel=True):
        assert delta.fitted((12, 6, 3, 3)).shape == (12, 6, 3, 3)
        with pytest.raises(WrongBase):
            delta.fitted((6, 12, 3, 3))


def test_a_row_of_zeros_has_no_direction_and_stays() -> None:
    delta = DoRA(Dense(torch.zeros(2, 3)), torch.ones(2, 1))
    change = dense_on(delta, torch.tensor([[0.0, 0.0, 0.0], [3.0, 0.0, 4.0]]))
    torch.testing.assert_close(change, torch.tensor([[0.0, 0.0, 0.0], [-2.4, 0.0, -3.2]]))


def test_spectral_shifts_move_singular_values_and_nothing_else() -> None:
    weight = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    sizes = torch.linalg.svdvals(weight.flatten(1))
    shift = torch.tensor([0.5, 0.1, 0.0, -100.0])
    moved = weight + dense_on(Spectral(shift, (4, 2, 3, 3)), weight)
    expected = torch.tensor([*(sizes[:3] + shift[:3]), 0.0])
    torch.testing.assert_close(torch.linalg.svdvals(moved.flatten(1)), expected, atol=1e-5, rtol=0)


def test_spectral_shifts_say_where_they_do_not_belong() -> None:
    shift = Spectral(torch.zeros(4), (4, 6))
    assert shift.fitted((4, 6, 1, 1)).shape == (4, 6, 1, 1)
    with pytest.raises(WrongBase, match="4 spectral shifts for the 3 values"):
        Spectral(torch.zeros(4), (3, 6)).fitted((3, 6))
    with pytest.raises(WrongBase):
        shift.fitted((4, 7))
    with pytest.raises(UnreadTensors, match="layer that diffusers splits"):
        shift.rows(0, 2)
    with pytest.raises(BadOption, match="along the base weight's own directions"):
        factors(shift)
