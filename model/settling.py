"""Loops over the positions that still move, and only those.

On a chain of reasoning the states behind the answer are done and those ahead of it know nothing yet: at any loop only
a few positions of a row change. `settle` leaves the others where they are, so that its time grows with the length of
the chain, where a full loop's grows with its square. What it stops at is a state that the full loop leaves in place.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from model.attention import Places
from model.config import ConfigError
from model.rdt import RDT
from model.stopping import PATIENCE, Trail

LINGER = 4  # loops: a wave may wait for some


class AtRest(NamedTuple):
    """Where a model came to rest."""

    h: Tensor  # (batch, length, width)
    loops: Tensor  # (batch, length): as the rule `settled` counts them if training asks at every position
    updates: int  # positions computed in all; a full loop computes batch * length each time


def spread(active: Tensor, reach: int) -> Tensor:
    """Each active position, the `reach` after it, which see it, and the `reach` before it, which it sees."""
    wider = active.clone()
    for away in range(1, min(reach, active.shape[1] - 1) + 1):
        wider[:, away:] |= active[:, :-away]
        wider[:, :-away] |= active[:, away:]
    return wider


@torch.no_grad()
def settle(model: RDT, tokens: Tensor, most: int) -> AtRest:
    """Loop until nothing moves, `most` loops at most, for tokens (batch, length).

    A position is computed while it moves, for LINGER loops longer, and while one that its local heads see, or that sees
    it, does so: the states around a moving one must keep swinging as they do, or it may come to rest too early.
    When none of a batch is left, all positions of the rows that are not known to be at rest are computed once more, for
    what the global heads see. A row in which nothing moves then is at rest.
    """
    c = model.config
    if c.loop_signal != "none" or (c.adapters == "lora" and c.adapter_past == "cycle"):
        raise ConfigError("loops that never become alike leave no state to rest in: see loop_signal and adapter_past")
    alike = c.adapter_loops if c.adapters == "lora" else 0  # from this loop on, all loops are the same map
    reach = (c.window - 1) * c.recurrent_blocks if c.local_heads else 0
    e = model.encode(tokens)
    h = model.first(e)
    trail = Trail(h)
    caches = [block.attention.cache(*tokens.shape) for block in model.recurrent]
    active = torch.ones_like(tokens, dtype=torch.bool)
    last = torch.full_like(tokens, -LINGER)  # the last loop that moved each position
    rest = torch.zeros(len(tokens), 1, dtype=torch.bool, device=tokens.device)
    updates = 0
    whole = True  # all positions so far have been computed in every loop: whole rows cost less, and no cache is filled
    for loop in range(most):
        sweep = not active.any()
        if sweep:
            active = ~rest.expand_as(active)
            if not active.any():
                break
        if whole and active.all():
            updates += active.numel()
            x = model.step(h, e, loop)
            last = torch.where(trail.moved(x), loop + 1, last)
            h = x
        else:
            places = Places.where(active | whole)
            whole = False
            here = places.row, places.at
            updates += len(places.row)
            x = model.inject(h[here], e[here])
            for block, cache in zip(model.recurrent, caches, strict=True):
                x = block.attend(x, places, cache, loop)
            last[here] = torch.where(trail.moved(x, *here), loop + 1, last[here])
            h[here] = x
        if sweep:
            rest |= (last <= loop).all(1, keepdim=True)
        active = torch.ones_like(active) if loop + 1 < alike else spread(last > loop + 1 - LINGER, reach) & ~rest
    return AtRest(h, (last.clamp(min=0).cummax(dim=1).values + PATIENCE).clamp(max=most), updates)
