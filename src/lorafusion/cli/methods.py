"""``lorafusion methods``: what there is to choose from."""

from __future__ import annotations

import inspect
from typing import Any

from lorafusion.cli import show
from lorafusion.cli.options import Json


def methods(json: Json = False) -> None:
    """List the ways to compose LoRAs: formula, paper, cost, training, and their options."""
    from lorafusion.methods import METHODS

    listed = [about(name) for name in METHODS]
    if json:
        show.document({"methods": listed})
        return
    for method in listed:
        out = show.console()
        out.print(method["name"], style="bold cyan")
        for text in lines(method):
            out.print(f"  {text}", soft_wrap=True)


def about(name: str) -> dict[str, Any]:
    """Everything that a method says of itself: its card, its docstrings' first lines, its options."""
    from lorafusion.methods import METHODS, card_of, options_of

    card = card_of(name)
    told: dict[str, Any] = {"name": name, **described(METHODS[name]), "options": options_of(name)}
    if card is not None:
        told |= {
            "formula": card.formula,
            "calls_per_step": str(card.calls),
            "training": card.training,
            "exportable": card.exportable,
            "pairs_only": card.pairs,
            "asks_base": card.base,
        }
    return told


def lines(method: dict[str, Any]) -> list[str]:
    """What the terminal shows of `about`, line by line."""
    given = ", ".join(f"{key}={value}" for key, value in method["options"].items())
    texts = [method["summary"], method.get("formula", ""), method["paper"], cost(method)]
    return [text for text in [*texts, given and f"options: {given}"] if text]


def cost(method: dict[str, Any]) -> str:
    """Cost, training and export in words; nothing for a method without a card."""
    if "calls_per_step" not in method:
        return ""
    words = [
        f"denoiser calls a step: {method['calls_per_step']}",
        f"training: {method['training']}",
        "exportable as one LoRA" if method["exportable"] else "not exportable",
    ]
    words += ["for two LoRAs"] if method["pairs_only"] else []
    return "; ".join(words)


def described(method: Any) -> dict[str, Any]:
    """What a method's file says of itself: one line, and the paper it comes from.

    The paper is the second paragraph of the file's docstring or what follows "Source:" in the
    function's own.
    """
    paragraphs = [*_paragraphs(inspect.getmodule(method)), "", ""]
    sources = [p.partition("Source:")[2] for p in _paragraphs(method) if "Source:" in p]
    summary = paragraphs[0].partition(": ")[2] or paragraphs[0]
    return {"summary": summary, "paper": paragraphs[1] or "".join(sources[:1]).strip()}


def _paragraphs(thing: object) -> list[str]:
    text = inspect.getdoc(thing) or ""
    return [" ".join(part.split()) for part in text.split("\n\n")]
