"""The detector: which classes of the pocket world a picture shows."""

from __future__ import annotations

from collections.abc import Sequence

from lorafusion.pocket.scorers.answers import Answers
from lorafusion.pocket.scorers.pictures import Pictures
from lorafusion.pocket.world import Category


class Detector(Answers):
    """Finds classes, at most one per category.

    It learned from renders, from renders through the bundled autoencoder, and from broken pictures
    (blends, noise, shuffled and melted pieces, blur), in which the right answer is none.
    """

    group = 0
    kind = "class"

    def found(self, pictures: Pictures, words: Sequence[Sequence[str]]) -> list[dict[str, bool]]:
        """Whether each picture shows each of its words.

        Args:
            pictures: n PIL images of 64x64 pixels or a uint8 array [n, 64, 64, 3].
            words: n lists of class words.

        Returns:
            For each picture, word -> found.

        Raises:
            BadOption: other pictures, or not a list for each.
            UnknownName: a word that is no class.
        """
        return self.check(pictures, words)

    def best(self, pictures: Pictures) -> list[dict[Category, str]]:
        """What each picture shows, category -> class; categories without any are left out.

        Args:
            pictures: n PIL images of 64x64 pixels or a uint8 array [n, 64, 64, 3].

        Raises:
            BadOption: other pictures.
        """
        likely = self.probabilities(pictures)
        seen: list[dict[Category, str]] = [{} for _ in range(len(pictures))]
        for category, scores in likely.items():
            values, places = scores[:, 1:].max(dim=1)
            for row, (value, place) in enumerate(zip(values, places, strict=True)):
                if value >= self.thresholds[category]:
                    seen[row][category] = self.labels[category][int(place)]
        return seen
