"""Hugging Face's model card: the front matter of a ``README.md``.

Fields as in https://huggingface.co/docs/hub/model-cards: ``instance_prompt``, ``tags``, and
``widget``, whose ``text`` is a prompt of a sample picture. Only plain ``key: value`` lines and lists
are read, which is what training scripts write; anything else of YAML counts as absent.
"""

from __future__ import annotations

import re

from lorafusion.library.card import Card, sentence, words_of

_KEY = re.compile(r"^([A-Za-z_]+):(?:\s+(.*))?$")
_ITEM = re.compile(r"^\s*-\s+(?:text:\s+)?(.*)$")
_NOISE = frozenset(
    {"diffusers", "lora", "locon", "lycoris", "template:sd-lora", "text-to-image", "image-to-image"}
    | {"stable-diffusion", "stable-diffusion-xl", "flux", "flux-diffusers", "sd3", "sd3-diffusers"}
    | {"diffusers-training", "stable-diffusion-diffusers", "stable-diffusion-xl-diffusers"}
)
"""Tags that say how a LoRA was made and not what it shows."""


def card_of_front_matter(readme: str) -> Card:
    """What the front matter says: the instance prompt, else a sample's prompt, and the tags."""
    fields = _fields(readme)
    prompt = " ".join(fields.get("instance_prompt", []))
    samples = [] if prompt else fields.get("widget", [])[:1]
    tags = [tag for tag in fields.get("tags", []) if tag.lower() not in _NOISE and ":" not in tag]
    return Card(text=sentence((prompt, *samples, ", ".join(tags))), triggers=words_of(prompt))


def _fields(readme: str) -> dict[str, list[str]]:
    """Key -> its value, or the items of its list; empty without front matter."""
    lines = readme.splitlines()
    if not lines or lines[0].rstrip() != "---":
        return {}
    fields: dict[str, list[str]] = {}
    values: list[str] = []
    for line in lines[1:]:
        if line.rstrip() in ("---", "..."):
            return fields
        if key := _KEY.match(line):
            values = fields.setdefault(key[1], [])
            values += filter(None, [_scalar(key[2] or "")])
        elif item := _ITEM.match(line):
            values += filter(None, [_scalar(item[1])])
    return {}


def _scalar(value: str) -> str:
    """A plain or quoted value; empty for null, blocks, flow collections and nested keys."""
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1].replace("''", "'") if value[0] == "'" else value[1:-1]
    nested = re.match(r"^\w+:(\s|$)", value)
    if value.lower() in ("null", "~") or value[:1] in tuple("|>[{&*!'\"") or nested:
        return ""
    return value
