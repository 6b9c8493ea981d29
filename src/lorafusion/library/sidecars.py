"""Sidecars: the small files that other programs put beside ``robot.safetensors``.

robot.json            Automatic1111: "description", "activation text"; "category" is ours
robot.civitai.info    Civitai Helper: Civitai's JSON about the model version
robot.metadata.json   ComfyUI-Lora-Manager: "model_name", "tags", "notes", "civitai"
robot.txt             plain text
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lorafusion.errors import UnreadableFile
from lorafusion.library.card import Card, first, sentence, words_of
from lorafusion.library.civitai import card_of_civitai, opening, plain, text, texts


def read_sidecars(path: Path) -> Card:
    """What the sidecars of a LoRA file say, each field from the first that has it.

    Args:
        path: the LoRA file; its sidecars need not exist.

    Raises:
        UnreadableFile: a sidecar is not JSON where it should be, or not UTF-8.
    """
    return first(
        reader(beside)
        for suffix, reader in _READERS
        if (beside := path.with_suffix(suffix)).is_file()
    )


def _automatic1111(path: Path) -> Card:
    fields = _object(path)
    triggers = words_of(text(fields.get("activation text")))
    about = opening(text(fields.get("description")))
    return Card(
        text=sentence((about, ", ".join(triggers))),
        category=text(fields.get("category")),
        triggers=triggers,
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
    return Card(sentence(parts), text(fields.get("category")), civitai.triggers)


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
)
