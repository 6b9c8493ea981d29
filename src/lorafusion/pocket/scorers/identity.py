"""The identity scorer: is it this robot, or some robot?"""

from __future__ import annotations

from collections.abc import Sequence

from lorafusion.pocket.scorers.answers import Answers
from lorafusion.pocket.scorers.pictures import Pictures


class Identity(Answers):
    """Tells individuals from the other examples of their classes, wherever in the picture they are.

    Its negatives are the looks that the base knows, and near siblings that differ in marking,
    colours or paint alone. Of a novel class there are no siblings: its individual is its class.
    """

    group = 1
    kind = "individual"

    def right(self, pictures: Pictures, names: Sequence[Sequence[str]]) -> list[dict[str, bool]]:
        """Whether each picture shows each of its individuals.

        Args:
            pictures: n PIL images of 64x64 pixels or a uint8 array [n, 64, 64, 3].
            names: n lists of individuals, by the names of their LoRAs.

        Returns:
            For each picture, name -> right.

        Raises:
            BadOption: other pictures, or not a list for each.
            UnknownName: a name that is no individual.
        """
        return self.check(pictures, names)
