"""Multi-head Latent Attention (DeepSeek-V2, 2405.04434) with local and global heads, and full attention to compare.

Keys and values of every head are expanded from one small latent a position, which is all that a cache holds, together
with one rotary key that all local heads share.
Local heads see the last `window` positions, with rotary positions. Global heads see everything up to their own
position and have no position signal, so that an input longer than any trained is nothing new to either kind.

Each kind of attention works in two ways that agree: `forward` on whole rows, and `attend` on a few positions of each
row against a cache of all the others (generation, loops over the positions that still move, reading what is asked).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.adapters import Loop, Projection
from model.config import ModelConfig
from model.norm import RMSNorm

Project = Callable[[int, int], Projection]


@lru_cache(maxsize=16)
def angles(length: int, half: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine (length, half) of position times frequency, the frequencies falling from 1 to 1 / 10,000."""
    frequency = 10_000.0 ** (-torch.arange(half, device=device, dtype=torch.float32) / half)
    angle = torch.arange(length, device=device, dtype=torch.float32)[:, None] * frequency
    return angle.cos(), angle.sin()


def rotate(x: Tensor) -> Tensor:
    """Rotary positions (RoFormer, 2104.09864) on x (..., length, width), the pairs being (i, i + width / 2)."""
    table = angles.__wrapped__ if torch.compiler.is_compiling() else angles  # a compiler warns of caches
    return turn(x, *table(x.shape[-2], x.shape[-1] // 2, x.device))


def rotate_at(x: Tensor, places: Places) -> Tensor:
    """The same on x (n, heads, width) of these places."""
    cos, sin = angles(places.length, x.shape[-1] // 2, x.device)
    return turn(x, cos[places.at, None], sin[places.at, None])


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).to(x.dtype)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(batch, length, heads * width) to (batch, heads, length, width)."""
    apart: Tensor = x.unflatten(-1, (heads, x.shape[-1] // heads))
    return apart.transpose(1, 2)


def see_window(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """Each position attends to itself and the window - 1 before it; work grows with length, not with its square.

    q, k: (batch, heads, length, width); v: (batch, heads, length, value width); returns the shape of v.
    """
    length = q.shape[2]
    if window > NARROW:
        return see_band(q, k, v, window) if window < length else see_all(q, k, v)
    window = min(window, length)
    k = F.pad(k, (0, 0, window - 1, 0))
    v = F.pad(v, (0, 0, window - 1, 0))
    scores = torch.stack([(q * k[:, :, w : w + length]).sum(-1) for w in range(window)], dim=-1)
    scores = scores * q.shape[-1] ** -0.5  # batch, heads, length, window
    back = torch.arange(window - 1, -1, -1, device=q.device)  # how far back each entry of the window lies
    before_start = torch.arange(length, device=q.device)[:, None] < back
    weights = scores.masked_fill(before_start, float("-inf")).softmax(-1)
    out: Tensor = weights[..., 0, None] * v[:, :, :length]
    for w in range(1, window):
        out = out + weights[..., w, None] * v[:, :, w : w + length]
    return out


NARROW = 8
"""Up to so many positions, a window's scores one by one are faster than all scores under a mask (CPU, forward and
backward, 103 rows of 161: 14 against 68 ms for 3 positions, 39 against 52 ms for 8, 166 against 52 ms for 32)."""


def see_band(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """The same as see_window, with work that grows with the square of the length and hardly with the window."""
    place = torch.arange(q.shape[2], device=q.device)
    back = place[:, None] - place
    return F.scaled_dot_product_attention(q, k, v, attn_mask=(back >= 0) & (back < window))


def see_all(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Each position attends to itself and everything before it. Shapes as in see_window."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


class Places(NamedTuple):
    """Some positions of some rows, n in all, in a list sorted by row: what `attend` computes."""

    row: Tensor  # (n,)
    at: Tensor  # (n,)
    length: int  # of the rows
    tables: list[Table]  # every place in one table

    @staticmethod
    def where(wanted: Tensor) -> Places:
        """The places where `wanted` (batch, length) is true: at least one."""
        row, at = wanted.nonzero(as_tuple=True)
        slot = wanted.cumsum(1)[row, at] - 1  # which of its row's it is
        seats = max(8, len(row) // len(wanted))
        tables = []
        for first in range(0, int(slot.max()) + 1, seats):
            (members,) = ((slot >= first) & (slot < first + seats)).nonzero(as_tuple=True)
            rows, line = row[members].unique(return_inverse=True)
            seat = slot[members] - first
            last = at.new_zeros(len(rows), int(seat.max()) + 1)
            last[line, seat] = at[members]
            whole = len(rows) == len(wanted)
            tables.append(Table(members, slice(None) if whole else rows, line, seat, future(last)))
        return Places(row, at, wanted.shape[1], tables)

    def of(self, x: Tensor) -> Tensor:
        """What x (batch, length, ...) has at these places: (n, ...)."""
        return x[self.row, self.at]


class Table(NamedTuple):
    """Places of the list laid out as a table with a line for each row, for products of whole matrices.

    Rows with many places go on in a second table, so that no line is filled up to the longest one's length.
    """

    members: Tensor  # which places of the list
    rows: Tensor | slice  # (lines,): the row of each line
    line: Tensor  # of each member
    seat: Tensor  # of each member, within its line
    future: Tensor  # (lines, seats, end): -inf where a position is later than the seat's; `end` and on are for all


def future(last: Tensor) -> Tensor:
    """0 for positions up to `last` (any shape), -inf for later ones: (..., end), with end just past the latest."""
    end = int(last.max()) + 1
    step = torch.zeros(2 * end, device=last.device)
    step[end:] = float("-inf")
    return step.unfold(0, end, 1)[end - 1 - last]


def see_near(q: Tensor, k: Tensor, v: Tensor, places: Places, window: int, scale: float) -> Tensor:
    """As see_window, at these places. q: (n, heads, width); k, v: (batch, length, heads or 1, their widths)."""
    near = places.at[:, None] - torch.arange(window - 1, -1, -1, device=q.device)  # n, window
    row, at = places.row[:, None], near.clamp(min=0)
    scores = (q[:, None] * k[row, at]).sum(-1) * scale  # n, window, heads
    weights = scores.masked_fill((near < 0)[..., None], float("-inf")).softmax(1)
    return (weights[..., None] * v[row, at]).sum(1)


def see_before(q: Tensor, k: Tensor, v: Tensor, places: Places, scale: float) -> Tensor:
    """As see_all, at these places. Shapes as in see_near."""
    out = q.new_empty(*q.shape[:2], v.shape[-1])
    for members, rows, line, seat, future in places.tables:
        heads, mask = q.shape[1], future[:, None].to(q.dtype)
        asked = q.new_zeros(*future.shape[:2], heads, q.shape[2])
        asked[line, seat] = q[members]
        of_k, of_v = (x[:, : future.shape[2]][rows].expand(-1, -1, heads, -1).transpose(1, 2) for x in (k, v))
        got = F.scaled_dot_product_attention(asked.transpose(1, 2), of_k, of_v, attn_mask=mask, scale=scale)
        out[members] = got.transpose(1, 2)[line, seat]
    return out


class LatentAttention(nn.Module):
    """One projection reads x and gives queries, the local heads' rotary queries, the latent and the shared rotary key;
    another expands the latent, normed, into each head's key and value. Local heads are the first. Scores are divided by
    the root of what they are summed over: head_width, and rope_width more in a local head."""

    __call__: Callable[..., Tensor]

    def __init__(self, config: ModelConfig, project: Project) -> None:
        super().__init__()
        c = self.config = config
        self.read = project(c.width, c.heads * c.head_width + c.local_heads * c.rope_width + c.latent + c.rope_width)
        self.normalise = RMSNorm(c.latent)
        self.expand = project(c.latent, 2 * c.heads * c.head_width)
        self.write = project(c.heads * c.head_width, c.width)

    def forward(self, x: Tensor, loop: Loop = None, keep: Tensor | None = None) -> Tensor:
        """x: (batch, length, width). keep: (batch, global heads), zero where a row does without a global head."""
        c = self.config
        local = c.local_heads
        q, q_rope, latent, k_rope = self.read(x, loop).split(
            [c.heads * c.head_width, local * c.rope_width, c.latent, c.rope_width], dim=-1
        )
        k, v = split_heads(self.expand(self.normalise(latent), loop), c.heads).chunk(2, -1)
        q = split_heads(q, c.heads)
        seen = []
        if local:
            q_rope = rotate(split_heads(q_rope, local))
            k_rope = rotate(k_rope[:, None]).expand(-1, local, -1, -1)
            q_local, k_local = torch.cat([q[:, :local], q_rope], -1), torch.cat([k[:, :local], k_rope], -1)
            seen.append(see_window(q_local, k_local, v[:, :local], c.window))
        if local < c.heads:
            out = see_all(q[:, local:], k[:, local:], v[:, local:])
            seen.append(out if keep is None else out * keep[:, :, None, None])
        return self.write(torch.cat(seen, dim=1).transpose(1, 2).flatten(2), loop)

    def cache(self, batch: int, length: int) -> Tensor:
        """An empty cache (batch, length, 1, latent + rope_width): each position's latent and its shared rotary key."""
        return self.write.weight.new_zeros(batch, length, 1, self.config.latent + self.config.rope_width)

    def cached(self, x: Tensor) -> Tensor:
        """A cache of x (batch, length, width), outside the loop."""
        c = self.config
        of_cache = self.read.weight[-(c.latent + c.rope_width) :]
        latent, k_rope = F.linear(x, of_cache).split([c.latent, c.rope_width], dim=-1)
        return torch.cat([self.normalise(latent), rotate(k_rope)], dim=-1)[:, :, None]

    def attend(self, x: Tensor, places: Places, cache: Tensor, loop: int | None = None) -> Tensor:
        """What `forward` gives for x (n, width), the positions at `places` of rows whose others are in `cache`.

        They are written into the cache first. Keys and values are never rebuilt: the matrix that would expand a latent
        into keys is folded into the queries, and the one for values into what is read out (2405.04434, section 2.1).
        """
        c = self.config
        local = c.local_heads
        q, q_rope, latent, k_rope = self.read(x, loop).split(
            [c.heads * c.head_width, local * c.rope_width, c.latent, c.rope_width], dim=-1
        )
        new = torch.cat([self.normalise(latent)[:, None], rotate_at(k_rope[:, None], places)], dim=-1)
        cache[places.row, places.at] = new.to(cache.dtype)
        latents = cache[..., : c.latent]
        # both (heads, head_width, latent)
        to_k, to_v = self.expand.at(loop).unflatten(0, (c.heads, 2, c.head_width)).unbind(1)
        q = torch.einsum("nhw,hwc->nhc", q.unflatten(-1, (c.heads, c.head_width)), to_k)
        seen = []
        if local:
            q_local = torch.cat([q[:, :local], rotate_at(q_rope.unflatten(-1, (local, c.rope_width)), places)], dim=-1)
            seen.append(see_near(q_local, cache, latents, places, c.window, (c.head_width + c.rope_width) ** -0.5))
        if local < c.heads:
            seen.append(see_before(q[:, local:], latents, latents, places, c.head_width**-0.5))
        return self.write(torch.einsum("nhc,hwc->nhw", torch.cat(seen, dim=1), to_v).flatten(1), loop)


class FullAttention(nn.Module):
    """The same two kinds of heads with keys and values of their own (no latent), for the ablation of MLA."""

    __call__: Callable[..., Tensor]

    def __init__(self, config: ModelConfig, project: Project) -> None:
        super().__init__()
        c = self.config = config
        self.read = project(c.width, 3 * c.heads * c.head_width)
        self.write = project(c.heads * c.head_width, c.width)

    def forward(self, x: Tensor, loop: Loop = None, keep: Tensor | None = None) -> Tensor:
        """Shapes as in LatentAttention."""
        c = self.config
        local = c.local_heads
        q, k, v = split_heads(self.read(x, loop), c.heads).chunk(3, -1)
        seen = []
        if local:
            seen.append(see_window(rotate(q[:, :local]), rotate(k[:, :local]), v[:, :local], c.window))
        if local < c.heads:
            out = see_all(q[:, local:], k[:, local:], v[:, local:])
            seen.append(out if keep is None else out * keep[:, :, None, None])
        return self.write(torch.cat(seen, dim=1).transpose(1, 2).flatten(2), loop)

    def cache(self, batch: int, length: int) -> Tensor:
        """An empty cache (batch, length, heads, 2 * head_width): each position's keys and values."""
        return self.write.weight.new_zeros(batch, length, self.config.heads, 2 * self.config.head_width)

    def cached(self, x: Tensor) -> Tensor:
        """As LatentAttention's."""
        local = self.config.local_heads
        _, k, v = split_heads(self.read(x), self.config.heads).chunk(3, -1)
        return torch.cat([torch.cat([rotate(k[:, :local]), k[:, local:]], dim=1), v], dim=-1).transpose(1, 2)

    def attend(self, x: Tensor, places: Places, cache: Tensor, loop: int | None = None) -> Tensor:
        """As LatentAttention's."""
        c = self.config
        local, scale = c.local_heads, c.head_width**-0.5
        q, k, v = self.read(x, loop).unflatten(-1, (c.heads, 3 * c.head_width)).chunk(3, -1)
        q, k = (torch.cat([rotate_at(part[:, :local], places), part[:, local:]], dim=1) for part in (q, k))
        cache[places.row, places.at] = torch.cat([k, v], dim=-1).to(cache.dtype)
        k, v = cache.chunk(2, dim=-1)
        seen = []
        if local:
            seen.append(see_near(q[:, :local], k[:, :, :local], v[:, :, :local], places, c.window, scale))
        if local < c.heads:
            seen.append(see_before(q[:, local:], k[:, :, local:], v[:, :, local:], places, scale))
        return self.write(torch.cat(seen, dim=1).flatten(1), loop)


ATTENTION: dict[str, type[LatentAttention | FullAttention]] = {"latent": LatentAttention, "full": FullAttention}
