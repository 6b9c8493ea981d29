"""Protocol: two images of one prompt, compared in both orders, and what comes of it.

A model that prefers whatever it sees first (or second) makes no method win here: each pair is asked
about twice, marks are averaged over both orders, and the preference for a place is measured.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lorafusion.evaluation.judge.cache import Cached
from lorafusion.evaluation.judge.reply import Marks, Unread, read_marks
from lorafusion.evaluation.judge.rubric import question
from lorafusion.evaluation.testbeds import Combination

SMALLEST = 256
"""Pixels of the longer side; smaller images are enlarged by whole numbers so that models see them."""
READS = 3
"""How often a question is asked anew because its answer could not be read."""
NO_ANSWER = "no answer"


@dataclass(frozen=True)
class Pair:
    """Two images of the same set and seed, by two arms.

    Attributes:
        name: "set/seed", unique.
        combination: what both should show.
        paths: of the first arm's image and of the second's.
    """

    name: str
    combination: Combination
    paths: tuple[Path, Path]


@dataclass(frozen=True)
class Verdict:
    """What the judge said of a pair.

    Attributes:
        name: of the pair.
        forward: marks of the first and second arm when the first was shown first; None if no answer
            could be read.
        backward: marks of the first and second arm when the second was shown first.
        failures: why an answer was missing or unread, a word each, those that were mended included.
        troubles: of the connection, a word for each failed try.
        paid: questions that were sent just now.
        tokens: in and out, of all answers, cached ones included.
    """

    name: str
    forward: Marks | None
    backward: Marks | None
    failures: tuple[str, ...]
    troubles: tuple[str, ...]
    paid: int
    tokens: tuple[int, int]

    @property
    def whole(self) -> bool:
        """Whether both orders were answered."""
        return self.forward is not None and self.backward is not None


def judge(
    pairs: Sequence[Pair],
    asker: Cached,
    *,
    workers: int = 1,
    on_pair: Callable[[int, int], object] | None = None,
) -> list[Verdict]:
    """Ask about every pair, in both orders.

    Args:
        pairs: to compare.
        asker: who is asked.
        workers: questions under way at once.
        on_pair: ``on_pair(done, all)``.

    Raises:
        RunError: nothing can be asked of the judge at all.
    """
    verdicts = []
    with ThreadPoolExecutor(workers) as pool:
        for verdict in pool.map(lambda pair: _judged(pair, asker), pairs):
            verdicts.append(verdict)
            if on_pair is not None:
                on_pair(len(verdicts), len(pairs))
    return verdicts


def plain_png(path: Path) -> bytes:
    """An image for a judge: pixels alone, for a Record names the method that made it."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    zoom = max(1, SMALLEST // max(image.size))
    image = image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _judged(pair: Pair, asker: Cached) -> Verdict:
    images = [plain_png(path) for path in pair.paths]
    counts: Counter[str] = Counter()
    failures: list[str] = []
    troubles: list[str] = []

    def ask(order: Sequence[bytes]) -> Marks | None:
        for attempt in range(READS):
            answer = asker.ask(question(pair.combination), order, attempt)
            troubles.extend(answer.troubles)
            counts["paid"] += not answer.cached
            counts["in"] += answer.tokens_in
            counts["out"] += answer.tokens_out
            if answer.text is None:
                failures.append(NO_ANSWER)
                return None
            try:
                return read_marks(answer.text)
            except Unread as error:
                failures.append(error.kind)
        return None

    forward, backward = ask(images), ask(images[::-1])
    return Verdict(
        name=pair.name,
        forward=forward,
        backward=None if backward is None else (backward[1], backward[0]),
        failures=tuple(failures),
        troubles=tuple(troubles),
        paid=counts["paid"],
        tokens=(counts["in"], counts["out"]),
    )
