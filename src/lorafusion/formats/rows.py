"""Rows: changes of several modules as one of the module that holds their rows, one below the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lorafusion.errors import BadOption
from lorafusion.lora import LowRank


def side_by_side(pieces: Sequence[tuple[LowRank | None, int]]) -> LowRank:
    """The exact joint change. A piece that is absent has rows of zeros.

    Pieces of one trained module share their `down`, and the whole has its rank again; others stand in
    blocks along the diagonal, and their ranks add up.

    Args:
        pieces: the change of each module and its share of the rows; at least one is there.

    Raises:
        BadOption: rows that are not in the ratio of the shares, or inputs of different widths.
    """
    there = [(piece, share) for piece, share in pieces if piece is not None]
    first = there[0][0]
    if len(pieces) == 1:
        return first
    units = {piece.shape[0] / share for piece, share in there}
    if len(units) > 1 or len({piece.shape[1:] for piece, _ in there}) > 1:
        shapes = ", ".join(str(list(piece.shape)) for piece, _ in there)
        raise BadOption(f"modules of shapes {shapes} do not make one module of the original code")
    unit = round(units.pop())
    one = all(p.scale == first.scale and torch.equal(p.down, first.down) for p, _ in there)
    ranks = [0 if piece is None else piece.rank for piece, _ in pieces]
    columns = first.rank if one else sum(ranks)
    tail = first.up.shape[2:]
    up = torch.zeros(
        unit * sum(share for _, share in pieces), columns, *tail, dtype=_dtype(there, one)
    )
    row = column = 0
    for (piece, share), rank in zip(pieces, ranks, strict=True):
        stop = row + unit * share
        if piece is not None and one:
            up[row:stop] = piece.up
        elif piece is not None:
            up[row:stop, column : column + rank] = piece.up.to(up) * piece.scale
        row, column = stop, column + rank
    if one:
        return LowRank(first.down, up, first.scale)
    return LowRank(torch.cat([piece.down.to(up) for piece, _ in there]), up, 1.0)


def _dtype(pieces: Sequence[tuple[LowRank, int]], one: bool) -> torch.dtype:
    """Scales are multiplied into `up` in float32 at least, so that they are not rounded away."""
    kinds = [piece.up.dtype for piece, _ in pieces] + [torch.float32] * (not one)
    widest = kinds[0]
    for kind in kinds[1:]:
        widest = torch.promote_types(widest, kind)
    return widest
