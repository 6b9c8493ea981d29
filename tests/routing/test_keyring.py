"""The keys of a library: what is encoded once, and numbers against plain loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

from lorafusion.library.described import Described
from lorafusion.plan import Candidate
from lorafusion.routing.background import RIVALS, rivals
from lorafusion.routing.keyring import Keyring, key_texts
from lorafusion.routing.phrasewise import phrases
from tests.library.fakes import CountingEncoder

LORAS = (
    Described("b", "character", "a silver gyrfalcon. It stands in the wide estuary", ("slvbt",)),
    Described("", "", "", ()),
    Described("a", "style", "red chalk", ()),
)


class CountingQuick(CountingEncoder):
    """One that has a quick way, too."""

    def quick(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        return self.encode(texts)


def test_phrases_of_keys_are_encoded_once_and_kept() -> None:
    encoder = CountingQuick("phrases@1")
    ring = Keyring(LORAS, encoder)
    asked = len(encoder.asked)
    ring.scores(["gyrfalcon", "estuary", "red chalk", "slvbt"])
    ring.forget()
    ring.scores(["wide estuary", "silver gyrfalcon"])
    assert len(encoder.asked) == asked
    ring.scores(["xylotomy"])
    assert encoder.asked[asked:] == ["xylotomy"]
    slow = CountingEncoder(
        "phrases@2"
    )  # without a quick way each phrase would take as long as a key
    Keyring(LORAS, slow)
    assert "estuary" not in slow.asked


def test_the_best_key_counts_and_a_lora_without_keys_fits_nothing() -> None:
    encoder = CountingQuick("keys@1", 32)
    spans = ["silver", "a red chalk"]
    fits, cosines = Keyring(LORAS, encoder).scores(spans)
    vectors = encoder.encode(spans)
    for column, lora in enumerate(LORAS):
        texts = key_texts(lora)
        best = (vectors @ encoder.encode(texts).T).amax(1) if texts else np.full(2, -np.inf)
        assert np.allclose(cosines[:, column], best, atol=1e-6)
    assert np.isneginf(fits[:, 1]).all()
    assert np.isfinite(fits[:, [0, 2]]).all()


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_the_nearest_phrase_that_does_not_ask_for_a_lora(data: st.DataObject) -> None:
    draw = np.random.default_rng(data.draw(st.integers(0, 999)))
    nearest = data.draw(st.integers(1, RIVALS + 3))
    asking = draw.random((20, 6)) < data.draw(st.sampled_from([0.0, 0.3, 0.9, 1.0]))
    at = np.stack([draw.permutation(20)[:nearest] for _ in range(4)])
    values = -np.sort(-draw.random((4, nearest), np.float32), axis=1)
    found = rivals(values, at, asking)
    last = min(RIVALS, nearest) - 1
    for row in range(4):
        for lora in range(6):
            free = [i for i in range(last) if not asking[at[row, i], lora]]
            assert found[row, lora] == values[row, free[0] if free else last]


def test_one_that_is_passed_over_is_like_any_other() -> None:
    short = Candidate.passed_over(LORAS[0], -1.5, "nothing asks for it", -3.5)
    whole = Candidate(LORAS[0], -1.5, 0.0, "", "nothing asks for it", -3.5)
    assert short == whole
    assert hash(short) == hash(whole)
    assert repr(short) == repr(whole)
    assert replace(short, strength=0.5) == replace(whole, strength=0.5)
    with pytest.raises(FrozenInstanceError):
        short.weight = 1.0  # type: ignore[misc]  # that it cannot be set is what is tested


def test_what_top_k_drops_stands_among_what_was_left_out() -> None:
    encoder = CountingQuick("order@1", 32)
    loras = tuple(Described(f"n{i % 7}{i}", "", f"word{i}", ()) for i in range(12))
    prompt = "word1, word5, word9, word11"
    for top_k in (1, 2, 12):
        found = phrases(prompt, loras, np.zeros((12, 1)), encoder, top_k=top_k).candidates
        assert len([one for one in found if not one.left_out]) == min(top_k, 4)
        assert found == tuple(
            sorted(found, key=lambda one: (bool(one.left_out), -one.score, one.name))
        )
