"""A task of your own: a walk round a ring. It works as it stands; change it piece by piece.

    python run_benchmarks.py show new_task --depth 3 --plugin new_task.py
    python run_benchmarks.py audit new_task --plugin new_task.py
    python run_benchmarks.py run --preset smoke --plugin new_task.py --out results/new_task

Records keep to one version of this file: once edited, it wants another --out.
Each of these checks the whole task first and names the first promise that it breaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from tasks import NOT_ASKED, Answers, Batch, Task, UserError


@dataclass(frozen=True)  # frozen: one experiment is one task, from its first step to its record
class NewTask(Task):
    """Begin at a place of a ring and carry out one move a token; the place is asked after every move.

    Depth: the number of moves up to the asked position. Say here what one step of reasoning is, and why each
    is needed: every move is a bijection of the places (none forgets the past), none leaves any place where it is
    (none is free), and they do not commute (counting them does not answer).

    Two examples, with 6 places:

        depth 1    tokens  p4 step           depth 3    tokens  p4 step turn jump
                   answer   .   p5                      answer   .   p5   p0   p2
    """

    # The three bands. Train depths are trained on, selection depths serve every choice, test depths are only reported.
    # Checked: they increase, do not overlap and can be had, so that no choice is made on what is reported.
    train_depths: tuple[int, ...] = (1, 2, 3, 4, 5)
    selection_depths: tuple[int, ...] = (6, 8)
    test_depths: tuple[int, ...] = (10, 12, 16, 20, 40)
    places: int = 10  # sizes like this one can be set from the command line: --task.places 20

    name: ClassVar[str] = "new_task"  # checked: not taken, so that no record is mistaken for another task's
    version: ClassVar[int] = 1  # raise it whenever the same seed would draw other questions
    summary: ClassVar[str] = "a walk round a ring"
    fixed_length: ClassVar[bool] = False  # checked: a length that grows with depth must be owned up to
    prefixes: ClassVar[bool] = (
        True  # does a row of depth d ask depths 1 .. d - 1 too? Then training draws deep rows only
    )

    def __post_init__(self) -> None:
        if self.places % 2 or not 4 <= self.places <= 1000:  # on an odd ring, `turn` would leave a place where it is
            raise UserError(f"new_task: places is {self.places}: allowed are even numbers from 4 to 1000")

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """Checked: each word once and without spaces, so that examples can be read, and read back."""
        return (*(f"p{i}" for i in range(self.places)), "step", "jump", "turn")

    @property
    def chance(self) -> float:
        """What a guesser scores who knows the possible answers. Too low a figure flatters every model."""
        return 1 / self.places

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        """Draw all rows at once with numpy: a Python loop over rows would hold up training.

        Checked: int64 arrays of shape (count, length), words of the vocabulary, the deepest question exactly `depth`
        deep, and the same rows again from the same rng (any other randomness makes a result unrepeatable).
        """
        factor, shift = np.array([1, 1, -1]), np.array([1, 2, -1])  # step, jump, turn: place -> factor * place + shift
        moves = rng.integers(3, size=(count, depth))  # (count, depth)
        here = rng.integers(self.places, size=count)  # (count,)
        tokens = np.concatenate([here[:, None], self.places + moves], axis=1)  # (count, 1 + depth)
        targets = np.full_like(tokens, NOT_ASKED)  # nothing is asked at the start
        for i in range(depth):
            here = (factor[moves[:, i]] * here + shift[moves[:, i]]) % self.places
            targets[:, i + 1] = here
        depths = np.broadcast_to(np.arange(depth + 1), tokens.shape).copy()  # 0 where nothing is asked
        return Batch(tokens, targets, depths)

    def solve(self, tokens: np.ndarray) -> Answers:
        """The oracle: ONE row, by another algorithm than `sample`, from its tokens alone, counting its own steps.

        Checked: it agrees with `sample` on answers and on depths. A mistake made in one of two algorithms is found;
        a step that is not needed, or one too many, is found by the count.
        """
        words = [self.vocabulary[t] for t in tokens.tolist()]
        ring = [f"p{i}" for i in range(self.places)]
        here = words[0]
        targets, depths = [NOT_ASKED], [0]
        for steps, move in enumerate(words[1:], start=1):
            if move == "turn":
                here = ring[::-1][ring.index(here)]
            else:
                for _ in range({"step": 1, "jump": 2}[move]):
                    here = (ring + ring[:1])[ring.index(here) + 1]
            targets.append(self.vocabulary.index(here))
            depths.append(steps)
        return Answers(np.array(targets), np.array(depths))

    # Rows that say the same in another order (shuffled facts, say) need `canonical`, which sorts them into one form,
    # so that no question of the test was seen in training in another order; see Task.canonical.
