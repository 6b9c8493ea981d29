"""Route: which LoRAs a prompt asks for, how strongly, and why the others were left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, overload, runtime_checkable

from lorafusion.errors import UnknownName
from lorafusion.registry import unknown

if TYPE_CHECKING:
    from lorafusion.lora import LoRA


@runtime_checkable
class Source(Protocol):
    """Where a LoRA comes from: an entry of a library, or anything else that can load one."""

    @property
    def name(self) -> str:
        """Unique within the route."""

    @property
    def category(self) -> str:
        """character, clothing, object, background, style, or "" when nobody said."""

    def load(self) -> LoRA:
        """Read the whole file."""


@dataclass(frozen=True)
class Candidate:
    """What routing found out about one LoRA.

    Attributes:
        source: the LoRA, not yet read.
        score: how well it fits the prompt; the router's own scale (cosine: -1 to 1).
        weight: its share, 0 when it was left out.
        phrase: the words of the prompt that asked for it.
        left_out: why it was left out, in words; empty when it was chosen.
        margin: by how much its score is ahead of the next that could have had its phrase, or of
            none at all; 0 where the router does not say.
        strength: what weight 1 of this LoRA means, for the denoiser: 1 is as it was trained. It
            multiplies what a method gives the LoRA, also where the method does not go by weights.
        text_strength: the same for the text encoders; None for that of the denoiser.
        pinned: whether the prompt named it in a tag, which said the strengths.
    """

    source: Source
    score: float
    weight: float
    phrase: str = ""
    left_out: str = ""
    margin: float = 0.0
    strength: float = 1.0
    text_strength: float | None = None
    pinned: bool = False

    @classmethod
    def passed_over(cls, source: Source, score: float, reason: str, margin: float) -> Candidate:
        """One that was left out: the same as by the constructor, in a fifth of the time.

        A prompt passes over thousands, and the constructor of a frozen dataclass takes a detour at each
        field. Fields that are not set here have their defaults from the class.
        """
        found = object.__new__(cls)
        fields = found.__dict__
        fields["source"], fields["score"], fields["weight"] = source, score, 0.0
        fields["left_out"], fields["margin"] = reason, margin
        return found

    @property
    def name(self) -> str:
        """The LoRA's name."""
        return self.source.name

    @property
    def strengths(self) -> tuple[float, float]:
        """What weight 1 means for the denoiser and for the text encoders."""
        return self.strength, self.strength if self.text_strength is None else self.text_strength


class Candidates(Sequence[Candidate]):
    """The candidates of a route, of which those that were left out are made when somebody looks at them.

    Most who ask for a route look at what was chosen. For all else it is a tuple, and is equal to one that
    has the same in it; its copies and pickles are tuples.

    Args:
        chosen: those that were chosen, in the order of the route: they come first.
        count: how many there are, the others among them.
        others: makes those that were left out, in the order of the route.
    """

    def __init__(
        self,
        chosen: tuple[Candidate, ...],
        count: int,
        others: Callable[[], Sequence[Candidate]],
    ) -> None:
        self.chosen = chosen
        self.others = others
        self._count = count

    @cached_property
    def _all(self) -> tuple[Candidate, ...]:
        return (*self.chosen, *self.others())

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Candidate: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Candidate, ...]: ...

    def __getitem__(self, place: int | slice) -> Candidate | tuple[Candidate, ...]:
        return self._all[place]

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self._all)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | Candidates) and self._all == tuple(other)

    def __hash__(self) -> int:
        return hash(self._all)

    def __repr__(self) -> str:
        return repr(self._all)

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (self._all,)


@dataclass(frozen=True)
class Route:
    """The answer of a router: every LoRA of the library, the best first.

    Attributes:
        prompt: what the pipeline reads: the text that was routed, with the words that were `added`.
        candidates: all LoRAs: pinned ones, then by falling score; equal scores by name.
        router: its name and options, for the record.
        text: what was routed: the prompt as given, without tags; the same as `prompt` when not given.
        added: trigger words that were put into the prompt.
    """

    prompt: str
    candidates: tuple[Candidate, ...] | Candidates
    router: str = "by hand"
    text: str = ""
    added: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.text:
            object.__setattr__(self, "text", self.prompt)

    @property
    def chosen(self) -> tuple[Candidate, ...]:
        """Those that were not left out, in the order of the route."""
        if isinstance(self.candidates, Candidates):
            return self.candidates.chosen
        return tuple(candidate for candidate in self.candidates if not candidate.left_out)

    @property
    def weights(self) -> dict[str, float]:
        """Name -> weight of the chosen ones."""
        return {candidate.name: candidate.weight for candidate in self.chosen}

    def changed(self, change: Callable[[Candidate], Candidate]) -> Route:
        """The same route with each of its chosen ones as `change` makes it, which stays chosen."""
        every = self.candidates
        if isinstance(every, Candidates):
            made = Candidates(tuple(map(change, every.chosen)), len(every), every.others)
            return replace(self, candidates=made)
        return replace(
            self, candidates=tuple(one if one.left_out else change(one) for one in every)
        )

    def with_weights(self, weights: Mapping[str, float]) -> Route:
        """The same route with exactly these LoRAs chosen, at these weights, edited by hand.

        A number given by hand is taken as it is: pins and preferred strengths do not multiply it.

        Raises:
            UnknownName: a name that the route does not have.
        """
        known = [candidate.name for candidate in self.candidates]
        for name in weights:
            if name not in known:
                raise UnknownName(unknown("LoRA", name, known))
        plain = (
            replace(one, strength=1.0, text_strength=None, pinned=False) for one in self.candidates
        )
        edited = (
            replace(one, weight=float(weights[one.name]), left_out="")
            if one.name in weights
            else replace(one, weight=0.0, left_out=one.left_out or "not named by hand")
            for one in plain
        )
        return replace(self, candidates=tuple(edited))
