"""Sidecars: the small files that other programs put beside ``robot.safetensors``.

robot.json            Automatic1111: "description", "activation text", "preferred weight"; "category" is ours
robot.civitai.info    Civitai Helper: Civitai's JSON about the model version
robot.metadata.json   ComfyUI-Lora-Manager: "model_name", "tags", "notes", "usage_tips", "civitai"
robot.txt, robot.md   plain text
README.md             Hugging Face's model card, where the folder holds one LoRA only
robot.preview.png     a picture, as the web interfaces store it; also robot.png, .jpg, .jpeg, .webp
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

from lorafusion.errors import UnreadableFile
from lorafusion.library.card import Card, first, sentence, words_of
from lorafusion.library.civitai import card_of_civitai, opening, plain, text, texts
from lorafusion.library.modelcard import card_of_front_matter

SUFFIX = ".safetensors"
"""Of a LoRA file, in small letters or capitals."""
CARD = "README.md"
PREVIEWS = tuple(
    f"{middle}.{suffix}" for middle in (".preview", "") for suffix in ("png", "jpg", "jpeg", "webp")
)


def read_sidecars(path: Path) -> Card:
    """What the sidecars of a LoRA file say, each field from the first that has it.

    Args:
        path: the LoRA file; its sidecars need not exist.

    Raises:
        UnreadableFile: a sidecar is not JSON where it should be, or not UTF-8.
    """
    cards = [
        reader(beside)
        for suffix, reader in _READERS
        if (beside := path.with_suffix(suffix)).is_file()
    ]
    model_card = path.with_name(CARD)
    if model_card.is_file() and _alone(path.parent):
        cards.append(card_of_front_matter(_content(model_card)))
    return first(cards)


def is_lora(name: str) -> bool:
    """Whether a file of this name is to be read as a LoRA."""
    return name.endswith(SUFFIX) or name.lower().endswith(SUFFIX)


def beside_names(stem: str, names: Container[str], *, alone: bool) -> list[str]:
    """The names of the sidecars and previews of a LoRA file, in the order of their weight.

    Args:
        stem: of the LoRA file.
        names: of all files in its folder.
        alone: whether no other LoRA file is in the folder.
    """
    named = [name for suffix in _SUFFIXES if (name := stem + suffix) in names]
    return [*named, CARD] if alone and CARD in names else named


def preview_of(path: Path) -> Path | None:
    """The picture beside a LoRA file, or None."""
    return next(
        (beside for suffix in PREVIEWS if (beside := path.with_suffix(suffix)).is_file()), None
    )


def _alone(folder: Path) -> bool:
    """Whether a folder holds one LoRA file only; looks no further than the second."""
    found = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            found += is_lora(entry.name) and not entry.name.startswith(".")
            if found > 1:
                return False
    return True


def number(value: object) -> float | None:
    """A finite number other than zero, by which several programs mean "not said"."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value == 0:
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # JSON has whole numbers of any length
        return None


def _automatic1111(path: Path) -> Card:
    fields = _object(path)
    triggers = words_of(text(fields.get("activation text")))
    about = opening(text(fields.get("description")))
    return Card(
        text=sentence((about, ", ".join(triggers))),
        category=text(fields.get("category")),
        triggers=triggers,
        strength=number(fields.get("preferred weight")),
    )


def _civitai(path: Path) -> Card:
    return card_of_civitai(_object(path))


def _lora_manager(path: Path) -> Card:
    fields = _object(path)
    version = fields.get("civitai")
    civitai = card_of_civitai(version if isinstance(version, dict) else {})
    tags = ", ".join(texts(fields.get("tags")))
    about = opening(plain(text(fields.get("modelDescription")))) if not civitai.text else ""
    parts = (text(fields.get("model_name")), civitai.text, about, tags, text(fields.get("notes")))
    strength = number(_tips(fields.get("usage_tips")).get("strength"))
    return Card(sentence(parts), text(fields.get("category")), civitai.triggers, strength)


def _tips(value: object) -> dict[str, Any]:
    """Usage tips: an object, often as JSON inside a text; anything else says nothing."""
    try:
        tips = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return {}
    return tips if isinstance(tips, dict) else {}


def _plain(path: Path) -> Card:
    return Card(text=" ".join(_content(path).split()))


def _object(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(_content(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UnreadableFile(f"{path}: not JSON ({error}); mend or remove this sidecar") from error
    if not isinstance(fields, dict):
        seen = type(fields).__name__
        raise UnreadableFile(
            f"{path}: JSON of kind {seen}, expected an object; mend or remove this sidecar"
        )
    return fields


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(
            f"{path}: cannot be read as UTF-8 text ({error}); mend or remove this sidecar"
        ) from error


_READERS: tuple[tuple[str, Callable[[Path], Card]], ...] = (
    (".json", _automatic1111),
    (".civitai.info", _civitai),
    (".metadata.json", _lora_manager),
    (".txt", _plain),
    (".md", _plain),
)
_SUFFIXES = (*(suffix for suffix, _ in _READERS), *PREVIEWS)
