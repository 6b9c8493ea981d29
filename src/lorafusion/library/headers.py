"""Headers: what the ``__metadata__`` of a safetensors file says about the LoRA.

``modelspec.*`` is the model specification of Stability AI, ``ss_*`` is what kohya's sd-scripts
write, ``instance_prompt`` comes from DreamBooth scripts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

from lorafusion.library.card import Card, sentence
from lorafusion.library.civitai import opening, plain
from lorafusion.library.naming import words_of_name

TAGS = 8
"""Tags of the training captions that make up a text."""


def card_of_header(metadata: Mapping[str, str]) -> Card:
    """What a header says: modelspec, else the triggers, else tags, else the output name."""
    from lorafusion.formats import about  # imports torch, which a warm listing does without

    # sd-scripts write the word None for what was not given.
    given = {
        key: text.strip() for key, text in metadata.items() if text.strip() not in ("", "None")
    }
    triggers = about.triggers(given)
    text = (
        _modelspec(given)
        or ", ".join(triggers)
        or ", ".join(_top_tags(given.get("ss_tag_frequency", "")))
        or (words_of_name(given["ss_output_name"]) if "ss_output_name" in given else "")
    )
    return Card(text, about.category(given), triggers)


def _modelspec(given: Mapping[str, str]) -> str:
    title = given.get("modelspec.title", "")
    if title == given.get("ss_output_name"):
        title = ""  # sd-scripts write the output name where no title was given
    description = opening(plain(given.get("modelspec.description", "")))
    trigger, tags = (given.get(f"modelspec.{key}", "") for key in ("trigger_phrase", "tags"))
    return sentence((title, description, trigger, tags))


def _top_tags(frequencies: str) -> list[str]:
    """The most frequent tags of ``{folder: {tag: count}}``; ties by name.

    A header cannot be mended by hand, so that one that is not JSON counts as saying nothing.
    """
    try:
        folders = json.loads(frequencies or "{}")
    except (json.JSONDecodeError, RecursionError):
        return []
    counts: Counter[str] = Counter()
    for tags in folders.values() if isinstance(folders, dict) else ():
        for tag, count in tags.items() if isinstance(tags, dict) else ():
            counts[tag.strip()] += count if isinstance(count, int) else 0
    ranked = sorted(counts, key=lambda tag: (-counts[tag], tag))
    return [tag for tag in ranked if tag and counts[tag] > 0][:TAGS]
