"""How the bundled model Pocket was made: `python -m recipes.pocket --help`."""
