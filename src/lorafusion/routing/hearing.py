"""Hearing: one prompt before one library: which spans there are, and how well each fits each LoRA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from lorafusion.plan import Candidate, Candidates, Source
from lorafusion.routing.award import Rival, Verdict, award
from lorafusion.routing.calibration import Calibration
from lorafusion.routing.keyring import THINGS, Keyring
from lorafusion.routing.passed import PassedOver
from lorafusion.routing.reading import Span, phrases_of, read
from lorafusion.routing.words import WORD

OF_REST, OF_HEAD = 0.9, 0.7
"""Shares of the whole phrase in the score of its words, for things: of those without its last word
and of those with it."""
BESIDE = 0.2
"""Share of what the main words of a phrase lack by themselves that the phrase lacks: a bubble level is
a level, whatever else its name brings to mind."""
DIGITS = 4
"""Decimals of scores; what an encoder answers differs in the last bits with its batch."""


class Hearing:
    """The evidence of a prompt for and against each LoRA of a library.

    Args:
        prompt: what the image shows.
        negative: what it must not show.
        entries: the n LoRAs, in the order of the keyring.
        ring: their keys.
        level: from which score on a LoRA is asked for.
        clear: score of a LoRA that is named word for word, at least.
    """

    def __init__(
        self,
        prompt: str,
        negative: str,
        entries: Sequence[Source],
        ring: Keyring,
        level: Calibration,
        clear: float,
    ) -> None:
        self._entries, self._level = entries, level
        self._categories, self._things, self._ranks = ring.categories, ring.things, ring.ranks
        spans = read(prompt, ring.framing)
        whole = [_whole(prompt)] if ring.quoted(prompt) else []
        self.spans = [span for span in spans if not span.denied] + whole
        self.refused = [span for span in spans if span.denied and span.head]
        self.unwanted = [replace(span, denied=False) for span in phrases_of(negative, ring.framing)]
        every = [*self.spans, *self.refused, *self.unwanted]
        texts = [ring.spelling.corrected(span.text) for span in every]
        fits, cosines = ring.scores(texts)
        self._fits, self._cosines = self._in_context(fits), self._which(cosines)
        self._believe_names(every, [ring.named(text) for text in texts], clear)
        if whole:
            row, asked = len(self.spans) - 1, ring.quoted(prompt)
            self._fits[row, asked] = self._fits.max() + 1
            self._cosines[row, asked] = 2.0

    def candidates(self) -> Candidates:
        """One for each LoRA: first the chosen ones; by falling score; equal scores by name."""
        best = _best(self._fits[: len(self.spans)])
        scores = np.nan_to_num(best, neginf=0.0)
        heard = self._heard(best, scores)
        chosen = [(-one.score, self._ranks[i], i) for i, one in heard.items() if not one.left_out]
        others = PassedOver(self._entries, self._ranks, scores, self._level.threshold, heard)
        return Candidates(tuple(heard[i] for *_, i in sorted(chosen)), len(scores), others)

    def _heard(
        self, best: Float[np.ndarray, " n"], scores: Float[np.ndarray, " n"]
    ) -> dict[int, Candidate]:
        """Index of a LoRA -> what became of it, for those that the prompt asks for or denies."""
        able = self._able(best)
        verdicts = award(self.spans, self._rivals(able), self._level)
        behind = np.minimum(scores - self._level.threshold, 0.0)
        found = {
            i: Candidate.passed_over(self._entries[i], float(scores[i]), reason, float(behind[i]))
            for i, reason in self._denials(best).items()
        }
        for i in able:
            entry = self._entries[i]
            found[i] = self._awarded(entry, float(scores[i]), verdicts[entry.name])
        return found

    def _able(self, best: Float[np.ndarray, " n"]) -> list[int]:
        """The LoRAs that some phrase asks for and that the negative prompt does not name."""
        count, start = len(self.spans), len(self.spans) + len(self.refused)
        nearest = _best(self._cosines[:count])
        against = _best(self._cosines[start:])
        able = (best >= self._level.threshold) & (against < nearest - 1e-6)
        found: list[int] = np.flatnonzero(able).tolist()
        return found

    def _rivals(self, able: list[int]) -> list[Rival]:
        """LoRAs as they compete for phrases."""
        count = len(self.spans)
        fits, cosines = (each[:count, able].T.tolist() for each in (self._fits, self._cosines))
        names = [self._entries[i].name for i in able]
        return list(map(Rival, names, [self._categories[i] for i in able], fits, cosines))

    def _denials(self, best: Float[np.ndarray, " n"]) -> dict[int, str]:
        """Index of a LoRA -> the words that deny it, where some would otherwise ask for it."""
        start = len(self.spans)
        rows = self._fits[start:]
        found: dict[int, str] = {}
        if not len(rows):
            return found
        value, at = rows.max(0), rows.argmax(0)
        negated = [*self.refused, *self.unwanted]
        for i in np.flatnonzero(value >= self._level.threshold).tolist():
            span = negated[int(at[i])]
            where = "the negative prompt says" if span in self.unwanted else "the prompt denies"
            if not span.denied or float(best[i]) < self._level.threshold:
                found[i] = f"{where} {span.text!r}"
        return found

    def _awarded(self, entry: Source, score: float, verdict: Verdict) -> Candidate:
        span = self.spans[verdict.span]
        if verdict.lost_to:
            reason = f"{span.text!r} asks for {verdict.lost_to}"
            return Candidate(entry, score, 0.0, "", reason, verdict.margin)
        weight = verdict.sure * span.stress
        return Candidate(entry, verdict.score, weight, span.text, "", verdict.margin)

    def _in_context(self, values: Float[np.ndarray, "s n"]) -> Float[np.ndarray, "s n"]:
        """For things, part of a phrase counts with the whole phrase around it."""
        wholes = _wholes(self.spans)
        around = [wholes.get(span.chunk, i) for i, span in enumerate(self.spans)]
        around += range(len(around), len(values))
        share = np.full((len(values), 1), OF_HEAD, np.float32)
        share[[i for i, span in enumerate(self.spans) if not span.head]] = OF_REST
        # from the whole phrase back to its part
        whole = values[around]
        near = whole - (whole - values) * (1 - share)
        kept = np.minimum(values, near) + BESIDE * self._lacking(values)
        return _rounded(np.where(self._things, kept, values))

    def _lacking(self, values: Float[np.ndarray, "s n"]) -> Float[np.ndarray, "s n"]:
        """How far the best of the main words in each phrase is under ordinary text; 0 for one word."""
        alone = {span.words[0]: i for i, span in enumerate(self.spans) if len(span.words) == 1}
        found = np.zeros_like(values)
        for i, span in enumerate(self.spans):
            mains = [alone[place] for place in span.words if place in alone]
            if mains and len(span.words) > 1:
                found[i] = np.minimum(values[mains].max(0), 0)
        return found

    def _which(self, cosines: Float[np.ndarray, "s n"]) -> Float[np.ndarray, "s n"]:
        """Each span with all that contain it, on average: of two robes the "sheer robe" is asked for."""
        words = [frozenset(span.words) for span in self.spans]
        around = np.array([[a <= b for b in words] for a in words], np.float32)
        count = len(words)
        found = cosines.copy()
        if count:
            found[:count] = around / around.sum(1, keepdims=True) @ cosines[:count]
        return _rounded(found)

    def _believe_names(self, spans: list[Span], named: list[list[int]], clear: float) -> None:
        """A LoRA that is named word for word is asked for, whatever the encoder makes of it."""
        for row, (span, loras) in enumerate(zip(spans, named, strict=True)):
            sure = [i for i in loras if span.head or self._categories[i] not in THINGS]
            if not sure:
                continue
            self._fits[row, sure] = np.maximum(self._fits[row, sure], clear)
            self._cosines[row, sure] = np.maximum(self._cosines[row, sure], 1.0)


def _wholes(spans: list[Span]) -> dict[int, int]:
    """Phrase -> which of the spans is all of it: the longest."""
    longest: dict[int, int] = {}
    for i, span in enumerate(spans):
        old = longest.get(span.chunk)
        if span.chunk >= 0 and (old is None or len(span.words) > len(spans[old].words)):
            longest[span.chunk] = i
    return longest


def _whole(prompt: str) -> Span:
    """The prompt as one span, for a prompt that is word for word a key of some LoRA."""
    places = tuple(range(len(WORD.findall(prompt))))
    return Span(" ".join(prompt.split()), 0, len(prompt), places, -1, True)


def _best(values: Float[np.ndarray, "s n"]) -> Float[np.ndarray, " n"]:
    """The greatest of each column; minus infinity without rows."""
    return values.max(0, initial=-np.inf)


def _rounded(values: Float[np.ndarray, "s n"]) -> Float[np.ndarray, "s n"]:
    return np.rint(values * 10**DIGITS) / 10**DIGITS
