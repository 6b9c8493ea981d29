"""Local: a vision-language model of transformers in this process."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from lorafusion.errors import UnreadableFile
from lorafusion.evaluation.judge.answer import Answer


class Local:
    """Answers by the most likely words.

    Args:
        model: hub id or folder of an image-text-to-text model with a chat template.
        device: "cpu" or "cuda".
        max_tokens: of an answer.

    Raises:
        UnreadableFile: it cannot be loaded.
    """

    def __init__(self, model: str, device: str = "cpu", max_tokens: int = 1024) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        try:
            self._processor: Any = AutoProcessor.from_pretrained(model)
            loaded = AutoModelForImageTextToText.from_pretrained(model, use_safetensors=True)
        except Exception as error:  # whatever a missing or broken model makes transformers raise
            told = " ".join(str(error).split())[:300]
            raise UnreadableFile(f"judge {model!r} could not be loaded: {told}") from error
        self._model: Any = loaded.eval().to(device)
        self._max_tokens = max_tokens
        self.id = f"{model} greedy max_tokens={max_tokens}"

    @torch.inference_mode()
    def ask(self, text: str, images: Sequence[bytes]) -> Answer:
        """As `Asker.ask`."""
        shown = [
            {"type": "image", "image": Image.open(io.BytesIO(one)).convert("RGB")} for one in images
        ]
        chat = [{"role": "user", "content": [{"type": "text", "text": text}, *shown]}]
        inputs = self._processor.apply_chat_template(
            chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        ).to(self._model.device)
        made = self._model.generate(**inputs, max_new_tokens=self._max_tokens, do_sample=False)
        new = made[0, inputs["input_ids"].shape[1] :]
        said = self._processor.decode(new, skip_special_tokens=True)
        return Answer(said, (), int(inputs["input_ids"].shape[1]), len(new))
