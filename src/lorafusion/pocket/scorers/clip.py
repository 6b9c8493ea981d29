"""Pocket-CLIP: pictures and texts as vectors that are near where they belong together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from lorafusion.pocket.scorers import weights
from lorafusion.pocket.scorers.answers import CHUNK
from lorafusion.pocket.scorers.eye import WIDTH, Trunk
from lorafusion.pocket.scorers.pictures import Pictures, batch

LENGTH = 32
"""Words of a text that are read."""
_WORD = re.compile(r"[a-z]+")


def read_words(texts: Sequence[str], vocabulary: Sequence[str]) -> Int[Tensor, "n 32"]:
    """Texts as numbers of words, from 1; 0 fills up. Words that are not known are left out."""
    numbers = {word: place for place, word in enumerate(vocabulary, 1)}
    rows = torch.zeros(len(texts), LENGTH, dtype=torch.long)
    for row, text in enumerate(texts):
        known = [numbers[word] for word in _WORD.findall(text.lower()) if word in numbers]
        rows[row, : len(known[:LENGTH])] = torch.tensor(known[:LENGTH], dtype=torch.long)
    return rows


class Towers(nn.Module):
    """The image tower and the text tower (Radford et al. 2021)."""

    def __init__(
        self, words: int, widths: Sequence[int] = (24, 48, 96, 160), width: int = 128
    ) -> None:
        super().__init__()
        self.trunk = Trunk(widths)
        self.picture = nn.Linear(WIDTH, width)
        self.words = nn.Embedding(words + 1, width)
        self.places = nn.Parameter(0.02 * torch.randn(LENGTH, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.reader = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.text = nn.Linear(width, width)
        self.scale = nn.Parameter(torch.tensor(2.5))

    def see(self, pictures: Float[Tensor, "n 3 64 64"]) -> Float[Tensor, "n d"]:
        """Pictures in -1 to 1 as unit vectors."""
        return normalize(self.picture(self.trunk(pictures)).float(), dim=1)

    def read(self, ids: Int[Tensor, "n 32"]) -> Float[Tensor, "n d"]:
        """Texts as unit vectors."""
        known = ids > 0
        # A text without any known word still has a vector: that of nothing.
        known[:, 0] = True
        hidden = self.reader(self.words(ids) + self.places, src_key_padding_mask=~known)
        mean = (hidden * known[..., None]).sum(dim=1) / known.sum(dim=1, keepdim=True)
        return normalize(self.text(mean).float(), dim=1)


class Clip:
    """How well pictures and texts of the pocket world agree.

    Both towers and the list of words are its own: the base's text encoder takes no part. It reads
    class words and the short words of captions; invented names are unknown to it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Load the weights.

        Args:
            folder: where they are; None for those that ship.

        Raises:
            UnreadableFile: they are missing or broken.
        """
        tensors, settings = weights.read("clip", folder)
        self.vocabulary: tuple[str, ...] = tuple(settings["vocabulary"])
        self._towers = Towers(len(self.vocabulary), settings["widths"], settings["width"])
        self._towers.load_state_dict(tensors)
        self._towers.eval().requires_grad_(False)

    @torch.inference_mode()
    def pictures(self, pictures: Pictures) -> Float[Tensor, "n d"]:
        """Unit vectors of pictures.

        Args:
            pictures: n PIL images of 64x64 pixels or a uint8 array [n, 64, 64, 3].

        Raises:
            BadOption: other pictures.
        """
        return torch.cat([self._towers.see(part) for part in batch(pictures).split(CHUNK)])

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Unit vectors of texts."""
        return self._towers.read(read_words(texts, self.vocabulary))

    def alignment(self, pictures: Pictures, texts: Sequence[str]) -> Float[Tensor, " n"]:
        """The cosine of each picture and its text, [n].

        Raises:
            BadOption: other pictures.
        """
        return (self.pictures(pictures) * self.texts(texts)).sum(dim=1)

    def similarity(self, pictures: Pictures, others: Pictures) -> Float[Tensor, " n"]:
        """The cosine of each picture and its other, [n].

        Raises:
            BadOption: other pictures.
        """
        return (self.pictures(pictures) * self.pictures(others)).sum(dim=1)
