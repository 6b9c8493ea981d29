"""What a header says of the whole LoRA: triggers, category, and scales that no alpha can spell."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace

from lorafusion.formats.alpha import alpha_of
from lorafusion.formats.format import low_ranks
from lorafusion.lora import Delta, LoRA, LowRank

TRIGGERS = "lorafusion.triggers"
CATEGORY = "lorafusion.category"
SCALES = "lorafusion.scales"

_BASES = ("modelspec.architecture", "ss_base_model_version", "ss_sd_model_name")
_PHRASES = ("modelspec.trigger_phrase", "trigger_phrase", "instance_prompt")


def triggers(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Words that the training captions used: our own list, or another's phrase, cut at commas."""
    own = _loaded(metadata.get(TRIGGERS, ""))
    if isinstance(own, list):
        return tuple(word for word in own if isinstance(word, str))
    phrase = next((metadata[key] for key in _PHRASES if metadata.get(key, "").strip()), "")
    return tuple(word.strip() for word in phrase.split(",") if word.strip())


def bases(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """The base model that the file claims, in its trainer's own words, the plainest first."""
    return tuple(metadata[key] for key in _BASES if metadata.get(key))


def category(metadata: Mapping[str, str]) -> str:
    """character, clothing, object, background, style, or what else the file says."""
    return metadata.get(CATEGORY, "")


def sharpened(deltas: Mapping[str, Delta], metadata: Mapping[str, str]) -> dict[str, Delta]:
    """The same deltas with the exact scales that `told` noted.

    A note only sharpens what alpha says already, so that a file whose alphas were edited since is
    right.
    """
    noted = _loaded(metadata.get(SCALES, ""))
    scales = noted if isinstance(noted, dict) else {}
    return {path: _sharper(delta, scales.get(path)) for path, delta in deltas.items()}


def told(lora: LoRA) -> dict[str, str]:
    """The header of a file with this LoRA: its metadata, and what they do not say of it yet."""
    kept = {key: text for key, text in lora.metadata.items() if key != SCALES}
    kept.setdefault("format", "pt")
    if category(kept) != lora.category:
        kept[CATEGORY] = lora.category
    if triggers(kept) != lora.triggers:
        kept[TRIGGERS] = json.dumps(list(lora.triggers), ensure_ascii=False)
    unspelled = {
        path: delta.scale
        for path, delta in low_ranks(lora).items()
        if alpha_of(delta.scale, delta.rank) / delta.rank != delta.scale
    }
    return kept | ({SCALES: json.dumps(unspelled, sort_keys=True)} if unspelled else {})


def _sharper(delta: Delta, scale: object) -> Delta:
    if not isinstance(delta, LowRank):
        return delta
    if isinstance(scale, float) and math.isclose(scale, delta.scale, rel_tol=1e-12):
        return replace(delta, scale=scale)
    return delta


def _loaded(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
