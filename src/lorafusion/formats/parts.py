"""Tensors of all targets, gathered from a file's keys, then made into Deltas and put where they belong."""

from __future__ import annotations

from torch import Tensor

from lorafusion.errors import UnreadableFile
from lorafusion.families.places import Place, is_twin
from lorafusion.formats.assemble import Part, Scale, assemble
from lorafusion.lora import Delta


class Parts:
    """The parts of all targets, in the order in which the file names them.

    A module of the file may be several of ours, side by side in its rows: the fused query, key and
    value of the original code. Such a one is assembled whole and cut afterwards.
    """

    def __init__(self) -> None:
        self._parts: dict[tuple[Place, ...], Part] = {}
        self._twins: dict[tuple[Place, ...], tuple[Place, ...]] = {}

    def add(self, target: str, role: str, key: str, tensor: Tensor) -> None:
        """Take in one tensor of a module that is one of ours.

        Raises:
            UnreadableFile: another key has already given this role of this target.
        """
        self.spread((Place(target),), role, key, tensor)

    def spread(
        self,
        places: tuple[Place, ...],
        role: str,
        key: str,
        tensor: Tensor,
        twin: tuple[Place, ...] = (),
    ) -> None:
        """Take in one tensor of a module whose rows are those of several of ours.

        Args:
            places: the modules of ours.
            role: of the tensor.
            key: its name in the file.
            tensor: itself.
            twin: the module that the name stands for in Flux.2, where that is another.

        Raises:
            UnreadableFile: another key has already given this role of these targets.
        """
        if role == "bias":
            places, twin = (
                tuple(Place(f"{place.target}.bias", place.share) for place in each)
                for each in (places, twin)
            )
            role = "diff"
        if twin:
            self._twins[places] = twin
        part = self._parts.setdefault(places, Part())
        if role in part.keys:
            raise UnreadableFile(
                f"{part.keys[role]!r} and {key!r} both are the {role} matrix of {places[0].target}; "
                "the file was put together wrongly, use another one"
            )
        part.keys[role] = key
        part.tensors[role] = tensor

    def joined(self, scale: Scale) -> dict[str, Delta]:
        """Target path -> Delta.

        Args:
            scale: what the header says, for targets without an alpha of their own.

        Raises:
            UnreadableFile: as `assemble`; rows that cannot be shared out; two modules for one target.
        """
        deltas: dict[str, Delta] = {}
        wholes = {
            places: assemble(places[0].target, part, scale) for places, part in self._parts.items()
        }
        twins = self._twins if self._is_second(wholes) else {}
        for places, part in self._parts.items():
            where = twins.get(places, places)
            for target, delta in _cut(wholes[places], where, part).items():
                if target in deltas:
                    raise UnreadableFile(
                        f"{next(iter(part.keys.values()))!r} and another key both are for {target}; "
                        "the file was put together wrongly, use another one"
                    )
                deltas[target] = delta
        return deltas

    def _is_second(self, wholes: dict[tuple[Place, ...], Delta]) -> bool:
        """Whether names that Flux.1 and Flux.2 share are Flux.2's, by the shapes of their modules.

        Raises:
            UnreadableFile: some have the shapes of the one, some of the other.
        """
        said: dict[bool, str] = {}
        for places, twin in self._twins.items():
            shape = wholes[places].shape
            if len(shape) == 2:
                said[is_twin(twin[0], shape)] = next(iter(self._parts[places].keys.values()))
        if len(said) == 2:
            raise UnreadableFile(
                f"{said[True]!r} has the shape of Flux.2's layer and {said[False]!r} has not; "
                "the file was put together wrongly, use another one"
            )
        return True in said


def _cut(whole: Delta, places: tuple[Place, ...], part: Part) -> dict[str, Delta]:
    """The rows of each place, by its share of all rows."""
    if len(places) == 1:
        return {places[0].target: whole}
    rows, shares = whole.shape[0], sum(place.share for place in places)
    if rows % shares:
        raise UnreadableFile(
            f"{next(iter(part.keys.values()))!r} has {rows} rows, which cannot be shared out among "
            f"{', '.join(place.target for place in places)}; the model is another one"
        )
    unit, start, cut = rows // shares, 0, {}
    for place in places:
        stop = start + unit * place.share
        cut[place.target] = whole.rows(start, stop)
        start = stop
    return cut
