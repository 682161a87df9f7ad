"""What a model is made of: one frozen dataclass, and the one-line errors for what cannot be built."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, fields, replace
from typing import ClassVar


class ConfigError(ValueError):
    """A configuration that cannot be built: the field, the value and what is allowed, in one line."""


def unknown(kind: str, name: str, allowed: tuple[str, ...]) -> ConfigError:
    near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return ConfigError(f"unknown {kind} {name!r}: {hint}allowed: {', '.join(allowed)}")


LONGEST_MEMORY = 0.99
"""What A may begin at: below what it may become, see model/injection.py."""


@dataclass(frozen=True)
class ModelConfig:
    """Sizes, and the choice of each part. Every default is the full Recurrent-Depth Transformer."""

    # sizes
    width: int = 64
    heads: int = 4
    head_width: int = 16
    local_heads: int = 2  # of `heads`: rotary, and see the last `window` positions; the rest are global, no position
    window: int = 3
    prelude_window: int = 0  # the window of the Blocks before the loop, if another; 0: `window` there too
    latent: int = 32  # numbers a position that keys and values are expanded from (MLA's d_c)
    rope_width: int = 8  # numbers a position of the one rotary key that all local heads share (MLA's d_rope)
    experts: int = 4  # routed
    active_experts: int = 2  # routed experts a position uses
    shared_experts: int = 1  # always used
    expert_width: int = 64
    prelude_blocks: int = 1
    recurrent_blocks: int = 1
    coda_blocks: int = 1
    # parts
    attention: str = "latent"
    feed_forward: str = "moe"
    injection: str = "lti"
    adapters: str = "lora"
    halting: str = "act"
    head: str = "own"  # "tied": the embedding's weights, so that an answer is known again as the word that it is
    stack_injection: str = "none"  # of a stack, between Blocks: "normed_additive", as `looped_normed` between its loops
    loop_signal: str = "none"  # "sinusoidal": which loop it is, as Universal Transformers tell it
    # settings of parts
    adapter_rank: int = 2
    adapter_loops: int = 4  # loops with an adapter of their own
    adapter_past: str = "hold"  # past them: hold the last one, cycle through them, or off
    memory: float = 5**-0.5  # what A begins at: the share of a state that the next loop keeps (Parcae's, 2604.12946)
    noise: float = 0.0  # added to a state before each loop in training, in shares of its size
    late: float = 0.0  # share of rows in training whose later positions start when their gradient does
    global_drop: float = 0.5  # share of rows for which a global head is dropped in training
    balance_rate: float = 0.001  # how far a router bias moves a step (2408.15664)

    PARTS: ClassVar[dict[str, tuple[str, ...]]] = {
        "attention": ("latent", "full"),
        "feed_forward": ("moe", "dense"),
        "injection": ("lti", "normed", "unconstrained", "additive", "normed_additive", "none"),
        "adapters": ("lora", "none"),
        "halting": ("act", "graves", "none"),
        "head": ("own", "tied"),
        "stack_injection": ("none", "normed_additive"),
        "loop_signal": ("none", "sinusoidal"),
        "adapter_past": ("hold", "cycle", "off"),
    }

    def __post_init__(self) -> None:
        for part, allowed in self.PARTS.items():
            if getattr(self, part) not in allowed:
                raise unknown(part, str(getattr(self, part)), allowed)
        if not 0 < self.memory <= LONGEST_MEMORY:
            raise ConfigError(f"memory is {self.memory}: allowed is above 0, up to {LONGEST_MEMORY}")
        for name in ("noise", "late"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: allowed is 0 to 1")
        may_be_zero = {"local_heads", "prelude_window", "shared_experts", "prelude_blocks", "coda_blocks"}
        may_be_zero |= {"memory", "noise", "late", "global_drop", "balance_rate"}  # and any fraction
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (int, float)) and not value >= (0 if field.name in may_be_zero else 1):
                least = "0 or more" if field.name in may_be_zero else "1 or more"
                raise ConfigError(f"{field.name} is {value}: allowed is {least}")
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.local_heads > self.heads:
            raise ConfigError(f"local_heads is {self.local_heads}: allowed is 0 to heads, {self.heads}")
        if self.rope_width % 2:
            raise ConfigError(f"rope_width is {self.rope_width}: allowed are even numbers")
        if self.attention == "full" and self.head_width % 2:
            raise ConfigError(f"head_width is {self.head_width}: with full attention allowed are even numbers")
        if self.loop_signal == "sinusoidal" and self.width % 2:
            raise ConfigError(f"width is {self.width}: with a sinusoidal loop signal allowed are even numbers")
        if self.active_experts > self.experts:
            raise ConfigError(f"active_experts is {self.active_experts}: allowed is 1 to experts, {self.experts}")
        if not self.global_drop < 1:
            raise ConfigError(f"global_drop is {self.global_drop}: allowed is 0 up to, not including, 1")

    @property
    def before_loop(self) -> ModelConfig:
        """What the Blocks before the loop are made of."""
        return replace(self, window=self.prelude_window or self.window)
