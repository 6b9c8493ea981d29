"""Block: weights of one shape that the same LoRAs change, folded together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.executors.layout import Picked, with_gates
from lorafusion.executors.site import Site


class Block:
    """Same-shape weights in one piece of memory, and the pristine ones that they stand in for.

    Args:
        members: sites with one layout, one shape of weight, one dtype and one device.
    """

    def __init__(self, members: Sequence[Site]) -> None:
        self._members = members
        self._layout = members[0].layout
        self._pristine = [site.weight.data for site in members]
        self._room: Tensor | None = None
        self._downs: Sequence[Tensor] | Tensor = [site.down.flatten(1) for site in members]
        self._ups: Sequence[Tensor] | Tensor = [site.up.flatten(1) for site in members]
        # One launch for all members saves time on accelerators, which wait for each.
        self._batched = self._pristine[0].device.type != "cpu"
        self.loras = {lora for lora, _, _ in self._layout.pieces} | {
            lora for site in members for lora, _ in site.others
        }

    def write(self, gates: Float[Tensor, " l"], open_loras: tuple[int, ...]) -> None:
        """W0 + delta for this mixture; the layers are pointed at it, or at W0 where all is closed."""
        if not self.loras & set(open_loras):
            self.restore()
            return
        picked = self._layout.picked(open_loras)
        if any(site.others for site in self._members):
            self._write_any(gates)
        elif picked is not None and self._batched:
            self._write_batched(gates, picked)
        elif picked is not None:
            self._write_each(gates, picked)

    def restore(self) -> None:
        """Point the layers at W0 again; where a weight was moved since, W0 is copied there."""
        for site, pristine, own in zip(self._members, self._pristine, self._own(), strict=True):
            self._put(site, own, pristine)

    def _own(self) -> Sequence[Tensor | None]:
        """The weights in this block's memory, one for each member, once there are any."""
        return [None] * len(self._members) if self._room is None else list(self._room)

    def _made(self) -> Tensor:
        if self._room is None:
            first = self._pristine[0]
            self._room = first.new_empty(len(self._members), *first.shape)
        return self._room

    def _put(self, site: Site, own: Tensor | None, value: Tensor) -> None:
        """Give the layer this value: by pointing where its weight is one of ours, else by copying."""
        weight = site.weight
        index = self._members.index(site)
        mine = [self._pristine[index].data_ptr()] + ([] if own is None else [own.data_ptr()])
        same = weight.dtype == value.dtype and weight.device == value.device
        if same and weight.data_ptr() in mine:
            weight.data = value
            return
        with torch.no_grad():
            weight.copy_(value)

    def _write_each(self, gates: Float[Tensor, " l"], picked: Picked) -> None:
        """One product a weight, straight into place; on a CPU that is as fast as it gets."""
        room, wide = self._made(), self._downs[0].dtype
        rank_gates = (gates[picked.owner] * picked.scale).to(self._downs[0])
        for index, site in enumerate(self._members):
            pristine, own = self._pristine[index], room[index]
            ups, downs = picked.of(self._ups[index], 1), picked.of(self._downs[index], 0)
            up, down = with_gates(ups, downs, rank_gates)
            base = pristine.flatten(1)
            if pristine.dtype == wide:
                torch.addmm(base, up, down, out=own.flatten(1))
            else:
                own.flatten(1).copy_(torch.addmm(base.to(wide), up, down))
            self._put(site, own, own)

    def _write_batched(self, gates: Float[Tensor, " l"], picked: Picked) -> None:
        """A copy of all and one product of all."""
        room, kind = self._made(), self._pristine[0].dtype
        downs, ups = self._stacked()
        rank_gates = (gates[picked.owner] * picked.scale).to(ups)
        torch._foreach_copy_(list(room), self._pristine)
        up, down = with_gates(picked.of(ups, 2), picked.of(downs, 1), rank_gates)
        room.flatten(2).baddbmm_(up.to(kind), down.to(kind))
        for site, own in zip(self._members, room, strict=True):
            self._put(site, own, own)

    def _stacked(self) -> tuple[Tensor, Tensor]:
        """[n, R, columns] and [n, out, R]; made once, and the members' own become views of them."""
        if not isinstance(self._downs, Tensor) or not isinstance(self._ups, Tensor):
            self._downs, self._ups = torch.stack(list(self._downs)), torch.stack(list(self._ups))
            for site, down, up in zip(self._members, self._downs, self._ups, strict=True):
                site.down, site.up = down.view_as(site.down), up.view_as(site.up)
        return self._downs, self._ups

    def _write_any(self, gates: Float[Tensor, " l"]) -> None:
        """Every kind of change, formed in full."""
        for site, pristine, own in zip(self._members, self._pristine, self._made(), strict=True):
            wide = torch.promote_types(pristine.dtype, torch.float32)
            own.copy_(pristine.to(wide) + site.delta(gates, pristine))
            self._put(site, own, own)


def blocks(found: Sequence[Site]) -> list[Block]:
    """Sites that can be folded together, in order of their first."""
    groups: dict[object, list[Site]] = {}
    for site in found:
        weight = site.weight
        # A bias or a change of another kind is not part of a product.
        alone = site.path if site.others or site.name != "weight" else ""
        key = (tuple(weight.shape), weight.dtype, weight.device, site.layout, alone)
        groups.setdefault(key, []).append(site)
    return [Block(members) for members in groups.values()]
