"""The task contract: everything that a task promises, on one page.

A task draws questions of an exact reasoning depth and can answer any one of them by reading nothing but its tokens.
It knows nothing of models: numpy in, numpy out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from tasks.errors import UserError

if TYPE_CHECKING:
    import networkx as nx

NOT_ASKED = -100  # the target where nothing is asked: torch's cross_entropy passes over it by default

TRAIN, SELECTION, TEST = 0, 1, 2  # the second integer of a random stream
SPLITS = {"train": TRAIN, "selection": SELECTION, "test": TEST}
MOST_DEPTH = 10**6  # of any question: rows of deeper ones fit in no memory
_SHARES = 8  # of eight shares of all possible rows, one is held out for selection, one for test


class Batch(NamedTuple):
    """`count` questions of one length. All three arrays are int64 of shape (count, length)."""

    tokens: np.ndarray  # indices into Task.vocabulary
    targets: np.ndarray  # the token to answer at this position, or NOT_ASKED
    depths: np.ndarray  # steps of reasoning that the asked position needs, 0 where nothing is asked


class Answers(NamedTuple):
    """What the oracle says of one row. Both arrays are int64 of shape (length,)."""

    targets: np.ndarray  # as in Batch
    depths: np.ndarray  # the steps that the oracle itself took to each answer, counted as it went


NO_SIZES = ("train_depths", "selection_depths", "test_depths", "curriculum")
"""Fields of a task that a question of a given depth does not depend on."""


@dataclass(frozen=True)
class Task(ABC):
    """A family of questions. Subclasses are frozen dataclasses: their fields are the sizes that a user may change.

    A subclass sets the class attributes below, gives the three bands their defaults, and writes `sample` and `solve`.
    """

    train_depths: tuple[int, ...]  # trained on
    selection_depths: tuple[int, ...]  # slightly deeper: every choice is made here
    test_depths: tuple[int, ...]  # only ever reported

    name: ClassVar[str]
    version: ClassVar[int]  # raised whenever the same stream would draw other questions
    summary: ClassVar[str]  # one line for `list`
    fixed_length: ClassVar[bool]  # are rows of all depths equally long?
    prefixes: ClassVar[bool]  # does a row of depth d also ask depths 1 .. d - 1, at its earlier positions?
    known_shortcut: ClassVar[str] = ""  # one that the paper's definition itself allows, to be printed beside results
    later: ClassVar[tuple[str, ...]] = ()  # fields younger than the task's first records: left out at their defaults
    question_length: ClassVar[int] = 0  # tokens of each, where questions of the same facts follow them one by one

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        missing = [n for n in ("name", "version", "summary", "fixed_length", "prefixes") if not hasattr(cls, n)]
        if missing:
            raise UserError(f"task class {cls.__name__} lacks the attribute {missing[0]!r}")

    @property
    @abstractmethod
    def vocabulary(self) -> tuple[str, ...]:
        """The token strings, so that any example can be read."""

    @property
    @abstractmethod
    def chance(self) -> float:
        """The accuracy of a guesser who knows the set of possible answers and nothing else."""

    @property
    def min_depth(self) -> int:
        """The shallowest question that this size allows."""
        return 1

    @property
    def max_depth(self) -> int | None:
        """The deepest question that this size allows; None where there is no limit."""
        return None

    @property
    def stages(self) -> tuple[Task, ...]:
        """What is trained on, easiest first. The last has this task's rows, and asks what it asks or more of them; all
        share its vocabulary."""
        return (self,)

    @abstractmethod
    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        """Draw `count` questions whose deepest asked position has depth `depth`.

        A position is answered from the tokens up to itself: models are causal.
        """

    @abstractmethod
    def solve(self, tokens: np.ndarray) -> Answers:
        """The oracle: answer one row (length,) by another algorithm, from its tokens alone.

        It must agree wherever the batch asks; it may answer more (a row need not say where the asking ends).
        """

    def canonical(self, tokens: np.ndarray) -> np.ndarray:
        """Rows (count, length) in the form in which two of the same content are equal (say, shuffled facts sorted)."""
        return tokens

    def asked_first(self, tokens: np.ndarray) -> np.ndarray:
        """Where rows (count, length) do not ask what they asked before: a repeated question is no further evidence."""
        new = np.ones(tokens.shape, dtype=bool)
        if self.question_length:
            new[:, self.facts_length :] = False
            asked = tokens[:, self.facts_length :].reshape(len(tokens), -1, self.question_length)
            for row, questions in zip(new, asked, strict=True):
                _, first = np.unique(questions, axis=0, return_index=True)
                row[self.facts_length :].reshape(-1, self.question_length)[first] = True
        return new

    # What the audit can use to look for shortcuts. A task without them is audited by the learners alone.

    @property
    def facts_length(self) -> int:
        """A row's first tokens that state facts, the rest being the question; 0 where a row is not so divided."""
        return 0

    def partial(self, tokens: np.ndarray, steps: int) -> np.ndarray | None:
        """The answers (length,) of an oracle that stops after `steps` steps (1 or more), wherever it then is.

        Where a row asks its own prefixes, that is the last answer so deep.
        """
        if not self.prefixes:
            return None
        targets, depths = self.solve(tokens)
        reached = np.where((depths > 0) & (depths <= steps), np.arange(len(tokens)), 0)
        return targets[np.maximum.accumulate(reached)]

    def recent(self, tokens: np.ndarray, steps: int) -> np.ndarray | None:
        """The answers (length,), read at the deepest question, of an oracle that sees only the last `steps` steps."""
        return None

    def around(self, tokens: np.ndarray, places: np.ndarray, steps: int) -> np.ndarray | None:
        """What lies about the place that `steps` steps of the question at `places` (count,) lead to, in rows (count,
        length): numbers (count, answers, features) from which a learner could tell each possible answer's chance.

        The answers are the first words of the vocabulary. 0 steps is where the question begins.
        """
        return None

    @property
    def sizes(self) -> dict[str, object]:
        """All fields but the bands and the curriculum: what a question of a given depth depends on."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in NO_SIZES}

    @property
    def written_sizes(self) -> dict[str, object]:
        """`sizes` as records and audits name them: without those of `later` that are at their defaults."""
        return {name: value for name, value in self.sizes.items() if not self.left_out(name)}

    def left_out(self, name: str) -> bool:
        """Whether a record says nothing of this field, which it then has at its default, as the first records do."""
        return name in self.later and getattr(self, name) == getattr(type(self), name)

    def check_depth(self, depth: int) -> None:
        """Refuse a depth that this task cannot have, naming those that it can."""
        top = MOST_DEPTH if self.max_depth is None else self.max_depth
        if not self.min_depth <= depth <= top:
            allowed = f"{self.min_depth} to {top}"
            raise UserError(f"{self.name} has no depth {depth}: allowed are depths of {allowed} at this size")

    def check_bands(self) -> None:
        """Refuse bands that are empty, out of order, overlapping, or not to be had."""
        bands = {"train": self.train_depths, "selection": self.selection_depths, "test": self.test_depths}
        for band, depths in bands.items():
            if not depths:
                raise UserError(f"{self.name}: {band}_depths is empty: allowed is at least one depth")
            for depth in depths:
                self.check_depth(depth)
            if list(depths) != sorted(set(depths)):
                raise UserError(f"{self.name}: {band}_depths {depths} must increase")
        for earlier, later in (("train", "selection"), ("selection", "test")):
            if bands[earlier][-1] >= bands[later][0]:
                raise UserError(
                    f"{self.name}: {later}_depths begin at {bands[later][0]}, "
                    f"but must begin above the deepest of {earlier}_depths, {bands[earlier][-1]}"
                )

    def band(self, depth: int) -> str:
        """The band a depth belongs to: decided by the depth alone, so that it can never be in two."""
        if depth <= self.train_depths[-1]:
            return "train"
        return "selection" if depth <= self.selection_depths[-1] else "test"

    def graph(self, tokens: np.ndarray) -> nx.Graph | None:
        """The graph that one row (length,) is about, for `show --png`; None where there is none.

        An edge's attribute `label` is written beside it; edges and nodes with `asked=True` are drawn in another colour.
        """
        return None


def stages(task: Task, **smaller: tuple[int | str, ...]) -> tuple[Task, ...]:
    """The stages of a curriculum over sizes: `task` with each of the smaller sizes in turn, then the task itself.

    A stage trains on those of the task's training depths that its size allows; one that allows none is left out.
    """
    made: list[Task] = []
    for values in zip(*smaller.values(), strict=True):
        stage = replace(task, curriculum=(), **dict(zip(smaller, values, strict=True)))  # type: ignore[call-arg]
        top = stage.max_depth
        depths = tuple(d for d in task.train_depths if d >= stage.min_depth and (top is None or d <= top))
        if depths:
            made.append(replace(stage, train_depths=depths))
    return (*made, task)


def up_to(curriculum: tuple[int, ...], size: int) -> tuple[int, ...]:
    """What of a curriculum is no larger than the task itself, which may have been made smaller."""
    return tuple(n for n in curriculum if n <= size)


def shallower(task: Task, deepest: tuple[int, ...]) -> tuple[Task, ...]:
    """The stages of a curriculum over depth: training depths up to each of `deepest` in turn, then the task itself."""
    bands = [tuple(d for d in task.train_depths if d <= most) for most in deepest]
    return (*(replace(task, curriculum=(), train_depths=depths) for depths in bands if depths), task)  # type: ignore[call-arg]


def stream(seed: int, split: int, depth: int, block: int) -> np.random.Generator:
    """The random stream of one block of questions. Always four integers, so that no two blocks share a stream."""
    return np.random.default_rng([seed, split, depth, block])


def content_split(rows: np.ndarray) -> np.ndarray:
    """The split (count,) that each canonical row (count, length) belongs to, decided by its content alone.

    Six eighths of all possible rows are for training, one for selection, one for test, whatever seed draws them.
    """
    mixed = np.full(len(rows), 0x9E3779B97F4A7C15, dtype=np.uint64)
    for column in rows.astype(np.uint64).T:  # splitmix64's finaliser, column by column
        mixed = (mixed ^ column) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    share = mixed % np.uint64(_SHARES)
    return np.where(share == 0, SELECTION, np.where(share == 1, TEST, TRAIN))


def draw(task: Task, seed: int, split: int, depth: int, block: int, count: int) -> Batch:
    """Draw `count` questions of one split: the only way by which questions reach training or evaluation.

    Rows whose content belongs to another split are drawn again, so that no row of one split is ever seen in another.
    """
    task.check_depth(depth)
    rng = stream(seed, split, depth, block)
    share = 6 / _SHARES if split == TRAIN else 1 / _SHARES
    found: list[Batch] = []
    have = 0
    for _ in range(200):
        drawn = task.sample(rng, depth, int((count - have) / share * 1.15) + 8)
        mine = content_split(task.canonical(drawn.tokens)) == split
        found.append(Batch(*(array[mine] for array in drawn)))
        have += int(mine.sum())
        if have >= count:
            return Batch(*(np.concatenate(arrays)[:count] for arrays in zip(*found, strict=True)))
    raise UserError(f"{task.name} at depth {depth} has too few different questions for a split of its own")
