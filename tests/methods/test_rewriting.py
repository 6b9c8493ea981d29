"""Methods that make one LoRA of several, against numbers worked by hand and plain loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from peft.utils.merge_utils import dare_linear as peft_dare
from peft.utils.merge_utils import magnitude_prune as peft_prune
from peft.utils.merge_utils import ties as peft_ties

from lorafusion.errors import BadOption
from lorafusion.lora import Dense, LoRA, LowRank, Spectral, spectrum
from lorafusion.methods import plan
from lorafusion.methods.dare import drawn
from lorafusion.methods.knots import aligned
from lorafusion.methods.np_lora import away
from lorafusion.methods.prune import largest
from lorafusion.methods.ssr import router
from lorafusion.methods.svdiff import KEPT, projected
from lorafusion.methods.ties import elected
from lorafusion.plan import Candidate, Route
from tests.methods.given import SHAPES, FakeBase, Given, change, lora, planned, route


def dense(index: int, target: str) -> torch.Tensor:
    found = lora(index).deltas[target]
    assert isinstance(found, LowRank)
    return found.dense(torch.float64)


def routed(*loras: LoRA, weights: Sequence[float] = (1.0, 1.0, 1.0)) -> Route:
    pairs = zip(loras, weights, strict=False)
    return Route("a prompt", tuple(Candidate(Given(one), w, w) for one, w in pairs))


def numbers(name: str, *rows: list[float], **options: Any) -> list[float]:
    """What a method makes of LoRAs that are one row of numbers each."""
    loras = [LoRA(f"n{i}", {"unet.x": Dense(torch.tensor([row]))}) for i, row in enumerate(rows)]
    made = plan(name, routed(*loras), 1, **options)
    delta = made.loras[0].deltas["unet.x"]
    assert isinstance(delta, Dense | LowRank)
    return delta.dense().flatten().tolist()


def test_ties_by_hand() -> None:
    # trimmed to two of four each: [4 0 0 -3], [-2 0 5 0]; signs elected: + . + -
    assert numbers("ties", [4.0, 1.0, 2.0, -3.0], [-2.0, 1.0, 5.0, 1.0], density=0.5) == [
        4,
        0,
        5,
        -3,
    ]


def test_ties_averages_those_that_agree() -> None:
    assert numbers("ties", [2.0, 1.0], [4.0, -3.0], density=1.0) == [3, -3]


def test_pruning_by_hand() -> None:
    assert numbers("prune", [4.0, 1.0, 2.0, -3.0], [0.5, 0.1, -0.2, 0.3], density=0.5) == (
        pytest.approx([4.5, 0, 0, -2.7])
    )


@pytest.mark.parametrize("density", [0.2, 0.5, 0.9])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_ties_and_pruning_are_those_of_peft(density: float) -> None:
    changes = [dense(i, "unet.one").float() for i in range(3)]
    weights = torch.tensor([1.0, 0.5, 2.0])
    trimmed = torch.stack([largest(each, density) for each in changes])
    ours = elected(trimmed, weights.tolist())
    torch.testing.assert_close(ours, peft_ties(changes, weights, density))
    summed = torch.einsum("l,l...->...", weights, trimmed)
    torch.testing.assert_close(summed, peft_prune(changes, weights, density))


def test_dare_keeps_the_mean_and_rescales() -> None:
    change = torch.ones(200, 200)
    kept = drawn(change, 0.25, "words")
    assert set(kept.unique().tolist()) == {0.0, 4.0}
    assert kept.mean() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(kept, drawn(change, 0.25, "words"))
    assert not torch.equal(kept, drawn(change, 0.25, "other words"))
    theirs = peft_dare([change], torch.ones(1), 0.25)
    assert set(theirs.unique().tolist()) == {0.0, 4.0}


def test_dare_draws_for_each_lora_apart_and_by_seed() -> None:
    first = change(planned("dare", route([1.0])))["unet.conv"]
    both = change(planned("dare", route([1.0, 1.0])))["unet.conv"]
    second = change(planned("dare", routed(lora(1))))["unet.conv"]
    torch.testing.assert_close(both, first + second, atol=1e-5, rtol=1e-4)
    other = change(planned("dare", route([1.0]), seed=1))["unet.conv"]
    assert not torch.equal(first, other)
    assert not torch.equal(
        both, change(planned("dare", route([1.0, 1.0]), elect=True))["unet.conv"]
    )


def test_svd_is_the_best_of_its_rank() -> None:
    made = planned("svd", route([0.5, 0.25]), rank=2, weights="routed")
    for target, shape in SHAPES.items():
        whole = 0.5 * dense(0, target) + 0.25 * dense(1, target)
        left, sizes, right = torch.linalg.svd(whole.flatten(1), full_matrices=False)
        best = (left[:, :2] * sizes[:2]) @ right[:2]
        torch.testing.assert_close(change(made)[target], best.reshape(shape), atol=1e-5, rtol=1e-4)


def test_svd_is_no_larger_than_the_largest_of_its_loras() -> None:
    made = planned("svd", routed(lora(0, rank=1), lora(1, rank=3)))
    assert {delta.rank for delta in made.loras[0].deltas.values()} == {3}


def test_knots_finds_the_common_space() -> None:
    changes = [lora(i).deltas["unet.conv"] for i in range(2)]
    space, views = aligned([each for each in changes if isinstance(each, LowRank)])
    for i, view in enumerate(views):
        torch.testing.assert_close(
            (space @ view).double(), dense(i, "unet.conv").flatten(1), atol=1e-5, rtol=1e-4
        )
    together = torch.cat([dense(i, "unet.conv").flatten(1) for i in range(2)], dim=1)
    left, sizes, right = torch.linalg.svd(together, full_matrices=False)
    torch.testing.assert_close(
        (space @ space.T).double(), (left * sizes**2) @ left.T, atol=1e-4, rtol=1e-4
    )
    assert space.shape[1] == 4
    torch.testing.assert_close(
        torch.cat(views, 1).double().abs(), right[:4].abs(), atol=1e-5, rtol=1e-3
    )


def test_np_lora_projects_the_content_off_the_style() -> None:
    content, style = lora(0).deltas["unet.one"], lora(1).deltas["unet.one"]
    assert isinstance(content, LowRank)
    assert isinstance(style, LowRank)
    rows = torch.linalg.qr(style.down.double().T)[0]
    hard = away(content, [style], 1.0).dense(torch.float64)
    assert (hard @ rows).abs().max() < 1e-6
    soft = away(content, [style], 1 / 3).dense(torch.float64)
    whole = content.dense(torch.float64)
    expected = whole @ (torch.eye(5, dtype=torch.float64) - 1 / 3 * rows @ rows.T)
    torch.testing.assert_close(soft, expected, atol=1e-6, rtol=1e-5)


def test_np_lora_takes_the_style_by_its_category() -> None:
    turned = change(planned("np-lora", route([1.0, 1.0], ["style", "character"]), mu=float("inf")))
    content, style = dense(1, "unet.one"), dense(0, "unet.one")
    rows = torch.linalg.qr(style.T)[0][:, :2]
    expected = style + content @ (torch.eye(5, dtype=torch.float64) - rows @ rows.T)
    torch.testing.assert_close(turned["unet.one"], expected, atol=1e-5, rtol=1e-4)


def test_ssr_is_the_least_squares_answer() -> None:
    """Against ordinary least squares over all inputs, with no matrices of moments."""
    base, target = FakeBase(), "unet.two"
    made = planned("ssr", route([1.0, 1.0]), ridge=1e-12)
    parts = [lora(i).deltas[target] for i in range(2)]
    downs = torch.cat([part.down for part in parts if isinstance(part, LowRank)]).double()
    inputs = [base.inputs(f"lora-{i}", target).double() for i in range(2)]
    wanted = torch.cat([dense(i, target) @ x for i, x in enumerate(inputs)], dim=1)
    seen = downs @ torch.cat(inputs, dim=1)
    factor = torch.linalg.lstsq(seen.T, wanted.T).solution.T
    torch.testing.assert_close(change(made)[target], factor @ downs, atol=1e-4, rtol=1e-4)


def test_ssr_without_interference_is_the_sum() -> None:
    one = torch.diag(torch.tensor([1.0, 2.0, 0.0, 0.0], dtype=torch.float64))
    two = torch.diag(torch.tensor([0.0, 0.0, 3.0, 4.0], dtype=torch.float64))
    found = router([one, two], [2, 2], [1.0, 0.5], 1e-9)
    expected = torch.diag(torch.tensor([1.0, 1.0, 0.5, 0.5], dtype=torch.float64))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_ssr_leaves_alone_what_never_fires() -> None:
    nothing = torch.zeros(2, 2, dtype=torch.float64)
    found = router([nothing, nothing], [1, 1], [1.0, 0.5], 1e-4)
    assert found.tolist() == [[1.0, 0.0], [0.0, 0.5]]


def test_svdiff_shifts_are_the_nearest() -> None:
    weight = FakeBase().weight("unet.one").double()
    left, _, right = torch.linalg.svd(weight, full_matrices=False)
    part = lora(0).deltas["unet.one"]
    assert isinstance(part, LowRank)
    shift = projected(part, left, right)
    basis = torch.stack([torch.outer(left[:, k], right[k]).flatten() for k in range(5)], dim=1)
    nearest = torch.linalg.lstsq(basis, dense(0, "unet.one").flatten()).solution
    torch.testing.assert_close(shift, nearest)


@pytest.mark.parametrize(("combine", "factor"), [("add", 1.0), ("interpolate", 0.5)])
def test_svdiff_combines_shifts_over_relu(combine: str, factor: float) -> None:
    made = planned("svdiff", route([1.0, 1.0]), combine=combine)
    weight = FakeBase().weight("unet.one").double()
    left, sizes, right = torch.linalg.svd(weight, full_matrices=False)
    shift = sum(
        torch.stack([left[:, k] @ dense(i, "unet.one") @ right[k] for k in range(5)])
        for i in range(2)
    )
    expected = (left * torch.relu(sizes + factor * shift)) @ right - weight
    torch.testing.assert_close(change(made)["unet.one"], expected, atol=1e-5, rtol=1e-4)
    assert 0 < float(made.loras[0].metadata[KEPT]) < 1


def test_svdiff_takes_trained_shifts_as_they_are() -> None:
    base, target = FakeBase(), "unet.conv"
    weight = base.weight(target)
    one = torch.tensor([0.5, -0.25, 0.0, -100.0])
    two = torch.tensor([0.1, 0.2, 0.3, 0.4])
    trained = [
        LoRA(name, {target: Spectral(shift, tuple(weight.shape))})
        for name, shift in (("one", one), ("two", two))
    ]
    left, sizes, right = spectrum(weight)
    made = planned("svdiff", routed(*trained))
    new = torch.relu(sizes + (one + two).double())
    expected = ((left * (new - sizes)) @ right).reshape(weight.shape)
    torch.testing.assert_close(change(made)[target], expected, atol=1e-5, rtol=1e-4)
    assert float(made.loras[0].metadata[KEPT]) == pytest.approx(1)
    alone = trained[0].deltas[target]
    assert isinstance(alone, Spectral)
    both = change(planned("svdiff", routed(trained[0])))[target]
    torch.testing.assert_close(alone.dense_on(weight, torch.float64), both, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("svd", {"rank": -1}, "rank is -1"),
        ("ties", {"density": 0.0}, "density is 0.0; ties takes a share over 0 and up to 1"),
        ("dare", {"weights": "odd"}, "weights is 'odd'; dare knows 'equal' and 'routed'"),
        ("np-lora", {"mu": -1.0}, "mu is -1.0"),
        ("ssr", {"ridge": 0.0}, "ridge is 0.0"),
        ("svdiff", {"combine": "odd"}, "combine is 'odd'"),
    ],
)
def test_bad_options_are_told(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        planned(name, route([1.0, 1.0]), **options)
