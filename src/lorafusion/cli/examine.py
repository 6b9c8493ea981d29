"""The findings of ``library doctor``, as JSON has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lorafusion.cli import shelf, show
from lorafusion.errors import WrongBase

if TYPE_CHECKING:
    from lorafusion.library.listing import Listed
    from lorafusion.lora import LoRA

UNKNOWN = "unknown"


def files(chosen: Sequence[Listed], *, whole: bool, pipe: Any = None) -> dict[str, Any]:
    """What is known of each file; with `whole` the size of its effect, on `pipe` where one is given."""
    from lorafusion.library.listing import usual_family

    usual = usual_family(chosen)
    with show.busy("Reading"):
        loras = [read(file) if whole else None for file in chosen]
        pairs = zip(chosen, loras, strict=True)
        return {"loras": [_checked(file, lora, usual, pipe) for file, lora in pairs]}


def together(chosen: Sequence[Listed], everything: Sequence[Listed]) -> dict[str, Any]:
    """Duplicates and clashing triggers that one of the chosen has a part in."""
    from lorafusion.doctor.triggers import clashes
    from lorafusion.library.hashes import duplicates
    from lorafusion.library.index import Index

    names = {file.name for file in chosen}
    with show.busy("Looking for duplicates"):
        groups = [[file.name for file in group] for group in duplicates(everything, Index())]
    words = clashes({file.name: file.card.triggers for file in everything})
    return {
        "duplicates": [group for group in groups if names & set(group)],
        "triggers": {word: list(owners) for word, owners in words.items() if names & set(owners)},
    }


def _checked(file: Listed, lora: LoRA | None, usual: str, pipe: Any) -> dict[str, Any]:
    size, misfit = _effect(lora, pipe) if lora else (None, "")
    checked = shelf.describe(file, lora.sha256 if lora else None)
    return checked | {
        "kind": list(file.reading.kinds),
        "weights": file.reading.targets,
        "base": file.reading.base,
        "alpha": _alphas(lora) if lora else None,
        "effect": size,
        "notes": [*_notes(file, usual), *filter(None, [misfit])],
    }


def read(file: Listed) -> LoRA:
    """The whole file.

    Raises:
        InputError: it cannot be read as a LoRA.
    """
    from lorafusion import formats

    return formats.read(file.path, name=file.name)


def _alphas(lora: LoRA) -> list[float]:
    ranked = (delta for delta in lora.deltas.values() if delta.rank)
    return sorted({round(delta.scale * delta.rank, 6) for delta in ranked})


def _effect(lora: LoRA, pipe: Any) -> tuple[dict[str, Any], str]:
    """The size of a LoRA's effect, and why it does not fit the base model, or ""."""
    from lorafusion.doctor import effect, relative
    from lorafusion.pipelines.match import base_weights

    weights, misfit = {}, ""
    if pipe is not None:
        try:
            weights = base_weights(pipe, lora)
        except WrongBase as error:
            misfit = str(error)
    sizes = effect(lora, weights)
    found = {
        "norm": sizes.norm,
        "relative": relative(sizes, weights) if weights else None,
        "parts": sizes.parts(),
        "strongest": [{"path": path, "norm": norm} for path, norm in sizes.strongest()],
    }
    return found, misfit


def _notes(file: Listed, usual: str) -> list[str]:
    """What is odd about a file, a phrase each."""
    reading = file.reading
    notes = []
    if file.text_from == "name":
        notes.append("no text but its name; say more with 'library set'")
    if reading.family == UNKNOWN:
        notes.append("made for a base model that is not known")
    elif usual not in (UNKNOWN, reading.family):
        notes.append(f"for {reading.family}, most files here are for {usual}")
    if reading.complaint:
        notes.append(f"sidecar left out: {reading.complaint}")
    return notes
