"""CLIPScore: one name, four definitions, each under its own.

- ``clip_cosine``: the plain cosine of image and prompt, often called CLIP-T. A prompt that is too
  long for the model is read in windows.
- ``clip_hessel``: 2.5 max(cosine, 0) with "A photo depicts " in front (Hessel et al., "CLIPScore",
  EMNLP 2021, equation 1 and section 3).
- ``clip_custom_diffusion``: 2.5 max(cosine, 0) without that prefix, as in CustomConcept101's
  evaluation (Kumari et al., CVPR 2023), on whose scale LoRA Fusion's Table 5 seems to be.
- ``clip_torchmetrics``: max(100 cosine, 0), as torchmetrics' ``CLIPScore``.

The last three cut a long prompt where the model ends, as their authors do. Beside them,
``clip_elements`` is the mean over the set's elements of the cosine with the element's own words, and
``clip_worst_element`` the least of these: a prompt may score well while one element is missing.
"""

from __future__ import annotations

from collections.abc import Sequence

from lorafusion.evaluation.metrics.embedder import Embedder, open_embedder
from lorafusion.evaluation.metrics.shown import Shown

PREFIX = "A photo depicts "
DEFAULT = "openai/clip-vit-base-patch16"
"""The model of ComposLoRA's authors."""


class ClipScore:
    """All of them from one pass over images and texts.

    Args:
        model: as `open_embedder` takes it, or an `Embedder`.

    Raises:
        UnreadableFile: the model cannot be loaded.
    """

    def __init__(self, model: str | Embedder = DEFAULT) -> None:
        self._embed = open_embedder(model) if isinstance(model, str) else model

    @property
    def about(self) -> str:
        """The definition and the model."""
        return (
            f"CLIP {self._embed.id}: clip_cosine raw cosine with the prompt (long prompts in windows); "
            "clip_hessel 2.5 max(cos,0) after 'A photo depicts'; clip_custom_diffusion 2.5 max(cos,0); "
            "clip_torchmetrics max(100 cos,0); clip_elements, clip_worst_element: cosine with each "
            "element's own words, mean and least"
        )

    def __call__(self, shown: Sequence[Shown]) -> list[dict[str, float]]:
        """As `Metric`."""
        if not shown:
            return []
        images = self._embed.images([one.image for one in shown])
        prompts = [one.combination.prompt for one in shown]
        whole = self._embed.texts(prompts)
        cut = self._embed.texts(prompts, long="truncate")
        depicts = self._embed.texts([PREFIX + prompt for prompt in prompts], long="truncate")
        rows = []
        for index, one in enumerate(shown):
            image = images[index]
            plain = float(image @ cut[index])
            words = self._embed.texts([element.text for element in one.combination.elements])
            elements = (words @ image).tolist()
            rows.append(
                {
                    "clip_cosine": float(image @ whole[index]),
                    "clip_hessel": 2.5 * max(float(image @ depicts[index]), 0.0),
                    "clip_custom_diffusion": 2.5 * max(plain, 0.0),
                    "clip_torchmetrics": max(100 * plain, 0.0),
                    "clip_elements": sum(elements) / len(elements),
                    "clip_worst_element": min(elements),
                }
            )
        return rows
