"""The background of a scene, painted once and kept."""

from functools import lru_cache

import numpy as np

from lorafusion.pocket.world.canvas import Pixels
from lorafusion.pocket.world.own_places import OWN_PAINTERS
from lorafusion.pocket.world.places import PAINTERS

VARIANTS = 120
"""Pictures of one background that the base's data draws from."""


@lru_cache(maxsize=4096)
def background(word: str, variant: int, individual: bool = False) -> Pixels:
    """One picture of a background.

    Args:
        word: a background class, or "" for a plain wall.
        variant: which of its VARIANTS pictures.
        individual: paint the class's individual.
    Returns:
        [64, 64, 3].
    """
    rng = np.random.default_rng([*word.encode(), variant, int(individual)])
    return (OWN_PAINTERS if individual else PAINTERS)[word](rng).pixels()
