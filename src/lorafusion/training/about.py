"""About: what is known of a new LoRA, in its file's header, so that it is found by a prompt at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from lorafusion.training.examples import Example
from lorafusion.training.recipe import Recipe
from lorafusion.version import __version__

_BASES = {"sd15": "sd_v1", "sd21": "sd_v2", "sdxl": "sdxl_base_v1-0"}
"""What sd-scripts call the families."""


@dataclass(frozen=True)
class About:
    """What its maker says of a LoRA.

    Attributes:
        name: of the LoRA, its file's without the suffix.
        description: what it shows, in one line; prompts are compared with it; `prompt` when empty.
        trigger: words that the captions used, with commas between several.
        category: character, clothing, object, background or style.
        prompt: the caption of pictures without one of their own.
        base: what the base model was asked for by.
    """

    name: str
    description: str = ""
    trigger: str = ""
    category: str = ""
    prompt: str = ""
    base: str = ""

    @property
    def triggers(self) -> tuple[str, ...]:
        """The trigger words apart."""
        return tuple(word.strip() for word in self.trigger.split(",") if word.strip())


def header(
    about: About, recipe: Recipe, shown: Sequence[Example], classes: int, family: str
) -> Mapping[str, str]:
    """The header, as kohya's trainer (ss_) and the model specification (modelspec.) spell it.

    No time or place is in it, so that the same training gives the same bytes.

    Args:
        about: the maker's words.
        recipe: how it was trained.
        shown: what on; its captions are counted as tags.
        classes: pictures of the class.
        family: as `families.recognise` says.
    """
    tags = Counter(tag.strip() for one in shown for tag in one.caption.split(",") if tag.strip())
    told = {
        "modelspec.title": about.name,
        "modelspec.description": about.description or about.prompt,
        "modelspec.trigger_phrase": about.trigger,
        "instance_prompt": about.prompt,
        "ss_output_name": about.name,
        "ss_sd_model_name": about.base,
        "ss_base_model_version": _BASES.get(family, family),
        "ss_network_module": "networks.lora",
        "ss_learning_rate": str(recipe.rate),
        "ss_text_encoder_lr": str(recipe.text_rate),
        "ss_max_train_steps": str(recipe.steps),
        "ss_batch_size_per_device": str(recipe.batch),
        "ss_gradient_accumulation_steps": str(recipe.accumulate),
        "ss_min_snr_gamma": str(recipe.snr),
        "ss_mixed_precision": {"float32": "no", "bfloat16": "bf16"}[recipe.precision],
        "ss_seed": str(recipe.seed),
        "ss_num_train_images": str(len(shown)),
        "ss_num_reg_images": str(classes),
        "ss_tag_frequency": json.dumps({about.name: dict(sorted(tags.items()))}),
        "lorafusion.recipe": json.dumps(asdict(recipe), sort_keys=True),
        "lorafusion.version": __version__,
    }
    return {key: text for key, text in told.items() if text}
