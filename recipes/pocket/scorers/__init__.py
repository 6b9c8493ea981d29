"""How the scorers of Pocket were made: by data and seeds of their own, not those of the base."""

from recipes.pocket.scorers.train import TINY, Sizes, make

__all__ = ["TINY", "Sizes", "make"]
