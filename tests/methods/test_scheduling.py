"""Methods that say who acts when, and how predictions are averaged, worked by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lorafusion.errors import BadOption, RunError, UnknownName
from lorafusion.lora import LoRA, LowRank
from lorafusion.methods import plan
from lorafusion.methods.loratorio import Patchwise
from lorafusion.methods.multlfg import Bandwise, joined, split
from lorafusion.mixer import Mixer, Moment
from lorafusion.plan import Candidate, Route
from tests.methods.given import Given, change, lora, route

KINDS = ["style", "character", "background"]


def turns(name: str, steps: int, kinds: list[str] = KINDS, **options: Any) -> str:
    """Who acts in each step, a letter each: a for the first LoRA of the route."""
    weights = options.pop("given", [0.5, 0.3, 0.2][: len(kinds)])
    gates = plan(name, route(weights, kinds), steps, **options).gates[:, 0]
    assert (gates.sum(1) == 1).all()
    return "".join("abc"[i] for i in gates.argmax(1).tolist())


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("character", "bac"),
        ("category", "bac"),
        ("style", "abc"),
        ("weight", "abc"),
        ("route", "abc"),
        ("reverse", "cba"),
        ("lora-2,lora-0, lora-1", "cab"),
    ],
)
def test_switch_in_every_order(order: str, expected: str) -> None:
    assert turns("switch", 3, period=1, order=order) == expected


@pytest.mark.parametrize(
    ("pace", "expected"),
    [("steady", "bbbaaacccbb"), ("shorter", "bbbaaacccbb"), ("longer", "ccbbbaaaccc")],
)
def test_switch_at_every_pace(pace: str, expected: str) -> None:
    assert turns("switch", 11, period=3, pace=pace) == expected
    if pace == "shorter":
        assert turns("switch", 20, period=3, pace=pace) == "bbbaaacccbbaaccbacba"[:20]


def test_switch_refuses_an_order_that_is_none() -> None:
    with pytest.raises(BadOption, match="order is 'odd'; give one of character"):
        turns("switch", 3, order="odd")
    with pytest.raises(UnknownName, match="Did you mean 'lora-1'"):
        turns("switch", 3, order="lora-0,lora1,lora-2")
    with pytest.raises(BadOption, match="name each of lora-0, lora-1, lora-2 once"):
        turns("switch", 3, order="lora-0,lora-1")
    with pytest.raises(BadOption, match="pace is 'odd'"):
        turns("switch", 3, pace="odd")


def test_w_switch_turns_are_as_long_as_weights() -> None:
    # 5 · (1, 0.6, 0.1) rounds to 5, 3 and (at least) 1
    assert turns("w-switch", 18, ["", "", ""], given=[1.0, 0.6, 0.1]) == "aaaaabbbcaaaaabbbc"


def test_w_switch_ends_with_the_character() -> None:
    assert turns("w-switch", 9, given=[1.0, 1.0, 1.0], period=1, last=4) == "bacbabbbb"
    assert turns("w-switch", 3, given=[1.0, 1.0, 1.0]) == "bbb"


def test_switch_a_ends_with_the_background() -> None:
    assert turns("switch-a", 10, period=2, early=0.6) == "aabbaacccc"


def test_cmlora_weighs_the_dominant_one() -> None:
    made = plan("cmlora", route([0.5, 0.3, 0.2], KINDS), 10, period=2)
    rest = 1 / (2.5 + 2)  # w_n / L with c = 2.5, L = 3
    assert made.mix[0].tolist() == pytest.approx([2.5 * rest, rest, rest])
    assert made.mix.argmax(1).tolist() == [0, 0, 1, 1, 0, 0, 2, 2, 2, 2]


def test_w_composite_averages_by_weights() -> None:
    made = plan("w-composite", route([0.5, 0.3]), 2)
    assert made.mix[1].tolist() == pytest.approx([0.625, 0.375])


def test_k_lora_changes_each_layer_once_from_content_to_style() -> None:
    """Rank 1 each, so k is 1: the largest number of a layer counts, divided by g = 10/10."""
    content = LoRA(
        "content",
        {"unet.a": LowRank(torch.tensor([[3.0, 3.0]]), torch.ones(1, 1), 1.0),
         "unet.b": LowRank(torch.tensor([[2.0, 2.0]]), torch.ones(1, 1), 1.0)},
        category="object",
    )  # fmt: skip
    style = LoRA(
        "style",
        {"unet.a": LowRank(torch.tensor([[2.0, 0.0]]), torch.ones(1, 1), 1.0),
         "unet.b": LowRank(torch.tensor([[4.0, 4.0]]), torch.ones(1, 1), 1.0)},
        category="style",
    )  # fmt: skip
    pair = Route("p", tuple(Candidate(Given(one), 1.0, 1.0) for one in (style, content)))
    made = plan("k-lora", pair, 4)  # factors .5, .875, 1.25, 1.625; leads 1.5 and 0.5
    acts: dict[tuple[str, str], list[float]] = {}
    for index, piece in enumerate(made.loras):
        for target in piece.deltas:
            acts[piece.category, target] = made.gates[:, 0, index].tolist()
    assert acts == {
        ("object", "unet.a"): [1, 1, 1, 0],
        ("style", "unet.a"): [0, 0, 0, 1],
        ("object", "unet.b"): [0, 0, 0, 0],
        ("style", "unet.b"): [1, 1, 1, 1],
    }


def test_k_lora_lets_text_encoders_have_both() -> None:
    made = plan("k-lora", route([1.0, 1.0]), 6)
    assert (made.text_gates == 1).all()
    both = sum(lora(i).deltas["text_encoder.q"].dense(torch.float64) for i in (0, 1))  # type: ignore[union-attr]
    torch.testing.assert_close(change(made)["text_encoder.q"], both, atol=1e-6, rtol=1e-5)


def moment(samples: int, unconditional: int = 0, guidance: float = 1.0) -> Moment:
    return Moment(0, 4, torch.arange(samples) < unconditional, guidance)


def test_loratorio_by_a_plain_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    predictions = torch.randn(4, 2, 3, 4, 6, generator=generator)  # three LoRAs and the base
    ours = Patchwise(2, 0.5, 0.3, 0)(predictions, moment(2, 1))
    for sample in range(2):
        for y in range(0, 4, 2):
            for x in range(0, 6, 2):
                patch = predictions[:, sample, :, y : y + 2, x : x + 2].flatten(1)
                likeness = torch.cosine_similarity(patch[:3], patch[3:], dim=1)
                weights = torch.softmax(-likeness / 0.3, 0)
                expected = (weights[:, None] * patch[:3]).sum(0)
                if sample == 0:
                    expected = 0.5 * patch[3] + 0.5 * expected
                seen = ours[sample, :, y : y + 2, x : x + 2].flatten()
                torch.testing.assert_close(seen, expected, atol=1e-5, rtol=1e-5)


def test_loratorio_takes_tokens_and_selects() -> None:
    predictions = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [1.0, 0.0]])
    tokens = predictions.reshape(4, 1, 1, 2)  # cosines with the base: 1, 0, -1
    best = Patchwise(2, 0.5, 1.0, 1)(tokens, moment(1))
    assert best.flatten().tolist() == [-1.0, 0.0]


def test_the_wavelet_is_undone_and_keeps_energy() -> None:
    x = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    bands = split(x, 2)
    assert [tuple(band.shape[-2:]) for band in bands] == [(4, 6)] * 3 + [(2, 3)] * 4
    torch.testing.assert_close(joined(bands), x)
    energy = sum(band.square().sum() for band in bands)
    torch.testing.assert_close(energy, x.square().sum())
    odd = torch.randn(1, 1, 5, 7, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(joined(split(odd, 3))[..., :5, :7], odd)


def test_multlfg_gives_a_band_to_whom_guides_it() -> None:
    flat = torch.ones(1, 1, 4, 4)
    stripes = torch.tensor([1.0, -1.0]).repeat(2).expand(1, 1, 4, 4)
    conditional = torch.stack([flat, stripes])
    without = torch.zeros_like(conditional)
    predictions = torch.cat([without, conditional], dim=1)  # [2 LoRAs, 2 samples, 1, 4, 4]
    mixed = Bandwise(1, 0)(predictions, moment(2, 1, 4.0))
    torch.testing.assert_close(mixed[1:], flat + stripes)  # each band has one guide
    torch.testing.assert_close(mixed[:1], torch.zeros_like(flat))


def test_multlfg_of_equals_is_their_mean() -> None:
    one = torch.randn(1, 2, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Bandwise(2, 0)(torch.cat([one, one]), moment(2)), one[0])
    top = Bandwise(2, 1)(torch.cat([one, 2 * one]), moment(2))
    torch.testing.assert_close(top, 2 * one[0])


def test_multlfg_needs_a_picture() -> None:
    with pytest.raises(RunError, match="use composite or loratorio"):
        Bandwise(1, 0)(torch.zeros(2, 1, 16, 4), moment(1))


def test_mixers_are_mixers() -> None:
    assert isinstance(Bandwise(1, 0), Mixer)
    assert isinstance(Patchwise(1, 0.5, 1.0, 0), Mixer)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("w-switch", {"last": -1}, "last -1"),
        ("switch-a", {"early": 2.0}, "early is 2.0"),
        ("cmlora", {"period": 0}, "period is 0"),
        ("k-lora", {"beta": 0.0}, "beta 0.0"),
        ("loratorio", {"temperature": 0.0}, "temperature 0.0"),
        ("multlfg", {"levels": 0}, "levels is 0"),
    ],
)
def test_bad_options_are_told(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        plan(name, route([1.0, 1.0]), 3, **options)
