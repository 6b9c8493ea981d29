"""Cost: what a judging will cost, told before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from lorafusion.evaluation.judge.cache import Cached
from lorafusion.evaluation.judge.protocol import SMALLEST, Pair, plain_png
from lorafusion.evaluation.judge.rubric import question

LETTERS = 4
"""Letters of English to a token, roughly."""
TILE, TOKENS_A_TILE, TOKENS_AN_IMAGE = 512, 170, 85
"""Tokens of an image as OpenAI's first vision models count them; others take more or fewer."""


@dataclass(frozen=True)
class Cost:
    """An estimate.

    Attributes:
        questions: all of them, two for each pair.
        known: how many of these were asked before.
        tokens_in: of those still to be asked.
        tokens_out: at most.
        money: in the currency of the prices; None when no price was given.
    """

    questions: int
    known: int
    tokens_in: int
    tokens_out: int
    money: float | None


def estimate(
    pairs: Sequence[Pair], asker: Cached, max_tokens: int, prices: tuple[float, float] | None
) -> Cost:
    """Without asking anything.

    Args:
        pairs: to compare.
        asker: its folder says what is known already.
        max_tokens: the longest answer.
        prices: of a million tokens in, and of a million tokens out.
    """
    known = tokens = 0
    for pair in pairs:
        images = [plain_png(path) for path in pair.paths]
        text = question(pair.combination)
        each = len(text) // LETTERS + sum(_image_tokens(pair, i) for i in (0, 1))
        for order in (images, images[::-1]):
            there = asker.path(text, order).is_file()
            known += there
            tokens += 0 if there else each
    new = 2 * len(pairs) - known
    out = new * max_tokens
    money = None if prices is None else (tokens * prices[0] + out * prices[1]) / 1e6
    return Cost(2 * len(pairs), known, tokens, out, money)


def _image_tokens(pair: Pair, index: int) -> int:
    with Image.open(pair.paths[index]) as image:
        zoom = max(1, SMALLEST // max(image.size))
        wide, high = (-(-side * zoom // TILE) for side in image.size)
    return TOKENS_AN_IMAGE + TOKENS_A_TILE * wide * high
