"""khop_facts with its steps written out: the chain of thought that a loop is held to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tasks.graph.khop_facts import KhopFacts
from tasks.task import NOT_ASKED, Answers, Batch


@dataclass(frozen=True)
class KhopWritten(KhopFacts):
    """The same facts and paths as KhopFacts of these sizes, a row being `start r1 a1 r2 a2 ...`.

    After each relation stands the entity that it leads to. A model is asked for that entity at the relation; at test
    it is given none of them, and reads those that it wrote itself.

        depth 2    tokens  e0 r0 e2 r1 e2
                   answer   . e2  . e2  .
    """

    name: ClassVar[str] = "khop_written"
    summary: ClassVar[str] = "khop_facts with every step written out"

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        bare = super().sample(rng, depth, count)
        tokens = np.empty((count, 2 * depth + 1), np.int64)
        tokens[:, 0], tokens[:, 1::2], tokens[:, 2::2] = bare.tokens[:, 0], bare.tokens[:, 1:], bare.targets[:, 1:]
        targets = np.full_like(tokens, NOT_ASKED)
        targets[:, 1::2] = bare.targets[:, 1:]
        depths = np.zeros_like(tokens)
        depths[:, 1::2] = np.arange(1, depth + 1)
        return Batch(tokens, targets, depths)

    def canonical(self, tokens: np.ndarray) -> np.ndarray:
        """The question alone, so that a path is of the same split as in khop_facts."""
        return np.concatenate([tokens[:, :1], tokens[:, 1::2]], axis=1)

    def solve(self, tokens: np.ndarray) -> Answers:
        bare = super().solve(self.canonical(tokens[None])[0])
        targets = np.full(len(tokens), NOT_ASKED)
        depths = np.zeros(len(tokens), np.int64)
        targets[1::2], depths[1::2] = bare.targets[1:], bare.depths[1:]
        return Answers(targets, depths)

    def recent(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        """The last written entity and the last relation tell the answer: every prefix of steps is known."""
        return self.solve(tokens).targets
