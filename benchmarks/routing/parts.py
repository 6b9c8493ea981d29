"""Parts of the router `phrases`, each taken out from outside, to see what it is worth.

The router has no switches for its parts; here one function of it is exchanged for a plain one while a row is measured.
A part that is no longer where it is looked for is an error and not a row that changes nothing.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from unittest.mock import patch

import numpy as np
from jaxtyping import Float

from lorafusion.plan import Source
from lorafusion.routing import background, hearing, keyring
from lorafusion.routing.award import Rival, Verdict
from lorafusion.routing.background import ordinary_phrases
from lorafusion.routing.calibration import Calibration
from lorafusion.routing.hearing import Hearing
from lorafusion.routing.keyring import Keyring
from lorafusion.routing.reading import Span, read
from lorafusion.routing.spelling import Spelling

Change = tuple[object, str, object]
"""What is changed, the name of its attribute, and what stands there instead."""

COSINE_SCALE = 10.0
"""Plain cosines times this are of the size of the scores that they replace."""


def one_span(prompt: str, names: frozenset[str] = frozenset()) -> list[Span]:
    """The whole prompt as one phrase; arguments as of `read`."""
    found = read(prompt, names)
    places = tuple(sorted({place for span in found for place in span.words}))
    return [Span(" ".join(prompt.split()), 0, len(prompt), places, 0, True)] if found else []


def nothing_denied(prompt: str, names: frozenset[str] = frozenset()) -> list[Span]:
    """The spans of a prompt, with "without" and "no" meaning nothing; arguments as of `read`."""
    return [replace(span, denied=False) for span in read(prompt, names)]


def text_alone(source: Source) -> tuple[str, ...]:
    """One key a LoRA: its text."""
    return (str(getattr(source, "text", "") or source.name).casefold(),)


def plain_cosines(
    cosines: Float[np.ndarray, "s n"],
    spans: tuple[Float[np.ndarray, " s"], Float[np.ndarray, " s"]],  # noqa: ARG001 - as what it stands for
    keys: tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]],  # noqa: ARG001 - as above
) -> Float[np.ndarray, "s n"]:
    """Scores that know nothing of ordinary text."""
    return cosines * COSINE_SCALE


def all_win(
    spans: Sequence[Span],  # noqa: ARG001 - as above
    rivals: Sequence[Rival],
    calibration: Calibration,
) -> dict[str, Verdict]:
    """Each LoRA that fits some phrase is chosen, whoever else fits it better."""
    found = {}
    for rival in rivals:
        place = max(range(len(rival.fits)), key=lambda i: (rival.fits[i], -i))
        ahead = rival.fits[place] - calibration.threshold
        sure = 1 / (1 + math.exp(-max(ahead, 0.0) / calibration.slope))
        found[rival.name] = Verdict(place, rival.fits[place], "", ahead, sure)
    return found


def as_written(self: Spelling, text: str) -> str:  # noqa: ARG001 - as above
    """No word is mended."""
    return text


def each_alone(self: Hearing, values: Float[np.ndarray, "s n"]) -> Float[np.ndarray, "s n"]:  # noqa: ARG001 - as above
    """A word of a phrase counts by itself."""
    return (values * 10**hearing.DIGITS).round() / 10**hearing.DIGITS


def no_names(self: Keyring, text: str) -> list[int]:  # noqa: ARG001 - as above
    """No LoRA is known by its name."""
    return []


def one_in_four() -> tuple[str, ...]:
    """The ordinary phrases that an encoder without a quick way is asked for."""
    return ordinary_phrases()[::4]


PARTS: Mapping[str, tuple[Change, ...]] = {
    "phrases: the whole prompt at once": ((hearing, "read", one_span),),
    "competition for phrases": ((hearing, "award", all_win),),
    "the scale of ordinary text": (
        (keyring, "symmetric", plain_cosines),
        (keyring, "_STORED", sys.maxsize),  # what is stored was made with all parts
    ),
    "several keys: the text alone": (
        (keyring, "key_texts", text_alone),
        (keyring, "_STORED", sys.maxsize),
    ),
    "the nearest ordinary phrase": ((keyring, "AHEAD", 0.0),),
    "three of four ordinary phrases": (
        (background, "ordinary_phrases", one_in_four),
        (background, "_BACKGROUNDS", []),
    ),
    "all words around, to say which": ((Hearing, "_which", each_alone),),
    "the main word by itself": ((hearing, "BESIDE", 0.0),),
    "names word for word": ((Keyring, "named", no_names),),
    "the phrase around a word": ((Hearing, "_in_context", each_alone),),
    "denial": ((hearing, "read", nothing_denied),),
    "spelling": ((Spelling, "corrected", as_written),),
}
"""Label -> what is changed to take the part out."""

REFITTED: Mapping[str, tuple[float, ...]] = {
    "phrases: the whole prompt at once": (0.0, 1.0, 2.0),
    "the scale of ordinary text": (2.5, 3.0, 3.5, 4.0),
    "the nearest ordinary phrase": (4.0, 5.0, 6.0),
}
"""Parts whose absence moves all scores -> thresholds that are tried on the tune split."""


@contextmanager
def without(part: str | None) -> Iterator[None]:
    """Route without this part; None leaves all in place.

    Raises:
        AttributeError: the part is not there any more.
    """
    with ExitStack() as stack:
        for owner, name, stand_in in PARTS[part] if part else ():
            stack.enter_context(patch.object(owner, name, stand_in))
        yield
