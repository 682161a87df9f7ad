"""Is a task what tasks/task.py promises? Proven on drawn examples at every depth, before anything is trained or shown.

Each breach is one line that names the thing and the example that shows it, and so is whatever the task's code raises.
"""

from __future__ import annotations

import math
import pickle
import re
import sys
import traceback
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import numpy as np

from tasks.errors import UserError
from tasks.task import NOT_ASKED, SPLITS, TRAIN, Answers, Batch, Task, content_split, draw, stream

ROWS = 24  # examples a depth that the oracle answers
FEW = 4  # of a stage
DRAWN = 100  # questions a split, in which no two splits may share one
SHOWN = 40  # tokens of an example that an error shows


def check(task: Task) -> None:
    """Prove the contract of tasks/task.py on drawn examples, or tell the first breach in one line."""
    _check_attributes(task)
    task.check_bands()
    depths = [*task.train_depths, *task.selection_depths, *task.test_depths]
    lengths: dict[int, int] = {}
    for depth in depths:
        lengths[depth] = _check_at(task, depth).tokens.shape[1]
    _check_arrays(task, _sampled(task, depths[0], 1), depths[0], 1)
    _check_lengths(task, lengths)
    _check_stages(task)
    for depth in (task.train_depths[0], task.train_depths[-1], task.test_depths[0]):
        _check_splits(task, depth)


def check_beyond(task: Task, depth: int) -> None:
    """The same of a depth that stands in no band, before questions of it are drawn."""
    task.check_depth(depth)
    _check_at(task, depth)


def _check_at(task: Task, depth: int) -> Batch:
    """What has to hold at each depth by itself; returns the examples."""
    batch = _sampled(task, depth, ROWS)
    _check_arrays(task, batch, depth, ROWS)
    _check_asked(task, batch, depth)
    _check_repeats(task, batch, depth)
    _check_oracle(task, batch, depth)
    _check_causal(task, batch, depth)
    _check_others(task, batch, depth)
    return batch


def _check_attributes(task: Task) -> None:
    """Names, bands, vocabulary, chance and sizes: what is read before anything is drawn."""
    name = task.name
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f"name is {name!r}: allowed are lower-case letters, digits and _")
    for attribute, kind in (("version", int), ("summary", str), ("fixed_length", bool), ("prefixes", bool)):
        if type(getattr(task, attribute)) is not kind:
            raise UserError(f"{name}: {attribute} is {getattr(task, attribute)!r}: allowed is {kind.__name__}")
    for field in fields(task):
        value = getattr(task, field.name)
        whole = isinstance(value, tuple) and all(type(v) is int for v in value)
        if not (whole if field.name.endswith("_depths") else whole or type(value) in (int, float, bool, str)):
            allowed = "a tuple of whole numbers" + ("" if field.name.endswith("_depths") else ", a number, bool or str")
            raise UserError(f"{name}: {field.name} is {value!r}: allowed is {allowed}")
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{name}: {field.name} is {value}: allowed are finite numbers")
        if field.name in ("name", "version", "plugin"):
            raise UserError(f"{name}: a size may not be called {field.name!r}: records keep that for themselves")
        if callable(held := getattr(Task, field.name, None)) or isinstance(held, property):
            raise UserError(f"{name}: a size may not be called {field.name!r}: a Task has something else of that name")
    with guard(f"{name}: the types of its sizes"):
        kinds = typing.get_type_hints(type(task))
    for field in fields(task):
        kind = kinds[field.name]
        if kind not in (int, float, bool, str) and typing.get_origin(kind) is not tuple:
            what = getattr(kind, "__name__", kind)
            raise UserError(
                f"{name}: {field.name} is of type {what}: allowed are int, float, bool, str, tuple[int, ...]"
            )
    with guard(f"{name}: vocabulary"):
        words = task.vocabulary
    if not isinstance(words, tuple) or not all(isinstance(w, str) and w and not re.search(r"\s", w) for w in words):
        raise UserError(f"{name}: vocabulary is {str(words)[:60]}: allowed is a tuple of strings without spaces")
    for word in words:
        if not word.isprintable():
            raise UserError(
                f"{name}: vocabulary holds {word!a}, which cannot be printed: allowed are words that can be"
            )
    for word in words:
        if words.count(word) > 1:
            raise UserError(f"{name}: vocabulary holds {word!r} {words.count(word)} times: allowed is once")
    with guard(f"{name}: chance"):
        chance = task.chance
        if not isinstance(chance, float) or not 0 < chance < 1:
            raise UserError(f"{name}: chance is {chance!r}: allowed is a float above 0 and below 1")
    for limit, none in (("min_depth", False), ("max_depth", True)):
        with guard(f"{name}: {limit}"):
            most = getattr(task, limit)
        if type(most) is not int and not (none and most is None):
            allowed = "a whole number" + ", or None where there is no limit" * none
            raise UserError(f"{name}: {limit} is {most!r}: allowed is {allowed}")
    with guard(f"{name}: pickling it for another process"):
        if pickle.loads(pickle.dumps(task)) != task:
            raise UserError(f"{name}: pickled and read back it is another task")


def _sampled(task: Task, depth: int, count: int, seed: int = 0) -> Batch:
    with guard(f"{task.name}: sample at depth {depth}"):
        return task.sample(stream(seed, TRAIN, depth, 0), depth, count)


def _check_arrays(task: Task, batch: Batch, depth: int, count: int) -> None:
    """Types, shapes and ranges."""
    at = f"{task.name}: sample at depth {depth}"
    if not isinstance(batch, Batch):
        raise UserError(f"{at} returned {type(batch).__name__}: allowed is Batch(tokens, targets, depths)")
    for part, array in zip(Batch._fields, batch, strict=True):
        if not isinstance(array, np.ndarray):
            raise UserError(f"{at}: Batch.{part} is {type(array).__name__}: allowed is a numpy array")
        if array.ndim != 2 or len(array) != count or array.shape != batch.tokens.shape or not array.shape[1]:
            allowed = f"({count}, length), equal in all three"
            raise UserError(f"{at} with count {count}: Batch.{part} has shape {array.shape}: allowed is {allowed}")
        if array.dtype != np.int64:
            raise UserError(f"{at}: Batch.{part} is {array.dtype}: allowed is int64")
    top = len(task.vocabulary)
    for part, array, wrong in (
        ("tokens", batch.tokens, (batch.tokens < 0) | (batch.tokens >= top)),
        ("targets", batch.targets, (batch.targets != NOT_ASKED) & ((batch.targets < 0) | (batch.targets >= top))),
    ):
        if wrong.any():
            row, place = np.argwhere(wrong)[0].tolist()
            raise UserError(
                f"{at}: Batch.{part} is {array[row, place]} at position {place} of {text(task, batch.tokens[row])}: "
                f"allowed is 0 to {top - 1}" + (f", or {NOT_ASKED} where nothing is asked" * (part == "targets"))
            )


def _check_asked(task: Task, batch: Batch, depth: int) -> None:
    """Every row asks something, its deepest question has the depth asked for, promised prefixes are asked."""
    at = f"{task.name}: sample at depth {depth}"
    asked = batch.targets != NOT_ASKED
    for tokens, targets, depths in zip(batch.tokens, asked, batch.depths, strict=True):
        if not targets.any():
            raise UserError(f"{at} asks nothing in {text(task, tokens)}")
        for place in np.flatnonzero((depths > 0) != targets)[:1].tolist():
            what = "something" if targets[place] else "nothing"
            raise UserError(
                f"{at}: position {place} of {text(task, tokens)} asks {what}, but its depth is {depths[place]}"
            )
        if depths.max() != depth:
            raise UserError(f"{at}: the deepest question of {text(task, tokens)} has depth {depths.max()}")
        missing = sorted({*range(1, depth + 1)} - {*depths.tolist()}) if task.prefixes else []
        if missing:
            raise UserError(f"{at}: prefixes is True, but {text(task, tokens)} does not ask depth {missing[0]}")


def _check_repeats(task: Task, batch: Batch, depth: int) -> None:
    """The same stream draws the same rows, from another copy of the task too; another stream draws others."""
    again = _sampled(_constructed_like(task), depth, ROWS)
    for part, first, second in zip(Batch._fields, batch, again, strict=True):
        if not np.array_equal(first, second):
            row = next((i for i in range(ROWS) if not np.array_equal(first[i : i + 1], second[i : i + 1])), 0)
            then = text(task, again.tokens[row]) if row < len(again.tokens) else "fewer rows"
            raise UserError(
                f"{task.name}: sample at depth {depth} is not reproducible: the same rng gave other {part}, "
                f"first {text(task, batch.tokens[row])}, then {then}"
            )
    if np.array_equal(batch.tokens, _sampled(task, depth, ROWS, seed=1).tokens):
        raise UserError(
            f"{task.name}: sample at depth {depth} does not draw from its rng: another seed gave the same rows, "
            f"first {text(task, batch.tokens[0])}"
        )


def _constructed_like(task: Task) -> Task:
    """Another copy of equal sizes, that shares nothing the first may have remembered."""
    with guard(f"{type(task).__name__}()"):
        return type(task)(**{field.name: getattr(task, field.name) for field in fields(task)})


def _check_oracle(task: Task, batch: Batch, depth: int) -> None:
    """The oracle answers each asked position as `sample` does, in as many steps as its depth."""
    reader = _constructed_like(task)  # so that it knows nothing but the tokens
    words = task.vocabulary
    for tokens, targets, depths in zip(*batch, strict=True):
        row = text(task, tokens)
        with _kept(task, "solve", tokens) as given:
            answers = reader.solve(given)
        if not isinstance(answers, Answers):
            raise UserError(
                f"{task.name}: solve returned {type(answers).__name__}: allowed is Answers(targets, depths)"
            )
        for part, array in zip(Answers._fields, answers, strict=True):
            if not isinstance(array, np.ndarray) or array.shape != tokens.shape or array.dtype != np.int64:
                have = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
                raise UserError(f"{task.name}: solve of {row}: {part} is {have}: allowed is int64 {tokens.shape}")
        for place in np.flatnonzero(targets != NOT_ASKED).tolist():
            said = int(answers.targets[place])
            if said != targets[place]:
                got = words[said] if 0 <= said < len(words) else said
                raise UserError(
                    f"{task.name}: the oracle disagrees with sample at depth {depth}: position {place} of {row}: "
                    f"sample expects {words[targets[place]]}, solve got {got}"
                )
            if answers.depths[place] != depths[place]:
                raise UserError(
                    f"{task.name}: depth {depth} is not honoured: position {place} of {row}: "
                    f"Batch.depths is {depths[place]}, but the oracle took {answers.depths[place]} steps"
                )


def _check_causal(task: Task, batch: Batch, depth: int) -> None:
    """A place is answered by the tokens up to itself. The oracle has another answer for a row that ends there, and for
    one that goes on as another does: either alone may be no row of the task, which it reads otherwise or not at all."""
    reader = _constructed_like(task)
    for tokens, targets, other in zip(batch.tokens, batch.targets, np.roll(batch.tokens, 1, axis=0), strict=True):
        asked = np.flatnonzero(targets != NOT_ASKED)
        for place in {int(asked[0]), int(asked[len(asked) // 2])}:
            begun = tokens[: place + 1]
            try:
                cut, spliced = (reader.solve(np.concatenate([begun, end])) for end in (begun[:0], other[place + 1 :]))
                unlike = all(of.depths[place] > 0 and of.targets[place] != targets[place] for of in (cut, spliced))
            except Exception:  # no row of the task: nothing is known
                continue
            if unlike:
                raise UserError(
                    f"{task.name}: position {place} of {text(task, tokens)} is answered by what stands behind it, as "
                    f"{text(task, begun)} has another answer: allowed is what the tokens up to it tell"
                )


def _check_others(task: Task, batch: Batch, depth: int) -> None:
    """The form of equal content, which questions stand there again, and what the audit can use."""
    with _kept(task, "canonical", batch.tokens) as given:
        task.canonical(given)
    with _kept(task, "asked_first", batch.tokens) as given:
        new = task.asked_first(given)
    _is_array(new, batch.tokens.shape, np.dtype(bool), f"{task.name}: asked_first")
    for tokens in batch.tokens[~(new & (batch.depths == depth)).any(1)][:1]:
        row = text(task, tokens)
        raise UserError(
            f"{task.name}: asked_first leaves no question of depth {depth} in {row}: allowed is once or more"
        )
    row, length = batch.tokens[0], task.facts_length
    for part in ("partial", "recent"):
        with _kept(task, part, row) as given:
            answers = getattr(task, part)(given, 1)
        if answers is not None:
            _is_array(answers, row.shape, np.dtype(np.int64), f"{task.name}: {part} of {text(task, row)}")
    if type(length) is not int or not 0 <= length < len(row):
        raise UserError(f"{task.name}: facts_length is {length!r}: allowed is 0 to {len(row) - 1}")


@contextmanager
def _kept(task: Task, method: str, tokens: np.ndarray) -> Iterator[np.ndarray]:
    """Tokens to hand to a method, which may not change them: whoever calls it goes on with what it was given."""
    given = tokens.copy()
    with guard(f"{task.name}: {method} of {text(task, tokens)}"):
        yield given
    if not np.array_equal(given, tokens):
        raise UserError(
            f"{task.name}: {method} changes the tokens that it is given, {text(task, tokens)} into "
            f"{text(task, given)}: work on a copy of them"
        )


def _is_array(found: object, shape: tuple[int, ...], kind: np.dtype, whose: str) -> None:
    if not isinstance(found, np.ndarray) or found.shape != shape or found.dtype != kind:
        have = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
        raise UserError(f"{whose} is {have}: allowed is {kind} {shape}")


def _check_lengths(task: Task, lengths: dict[int, int]) -> None:
    """fixed_length is what it says: a row's length that grows with depth gives the depth away."""
    (first, length), *others = lengths.items()
    differs = next(((d, n) for d, n in others if n != length), None)
    if task.fixed_length and differs:
        raise UserError(
            f"{task.name}: fixed_length is True, but rows have {length} tokens at depth {first} "
            f"and {differs[1]} at depth {differs[0]}"
        )
    if not task.fixed_length and not differs:
        raise UserError(f"{task.name}: fixed_length is False, but rows have {length} tokens at every depth")


def _check_stages(task: Task) -> None:
    """Nothing is trained on deeper questions than the task's; what training ends with has this task's rows, and asks
    what it asks or more of them."""
    with guard(f"{task.name}: stages"):
        stages = task.stages
    if not isinstance(stages, tuple) or not stages or not all(isinstance(stage, type(task)) for stage in stages):
        raise UserError(f"{task.name}: stages is {str(stages)[:60]}: allowed is a tuple of {type(task).__name__}")
    (*early, last), deepest = stages, task.train_depths[-1]
    for stage in early:
        if not stage.train_depths or max(stage.train_depths) > deepest:
            raise UserError(f"{task.name}: a stage trains on {stage.train_depths}: allowed are depths up to {deepest}")
        if stage.vocabulary != task.vocabulary:
            raise UserError(f"{task.name}: a stage has other words: allowed is the vocabulary of the task")
        for depth in (stage.train_depths[0], stage.train_depths[-1]):
            batch = _sampled(stage, depth, FEW)
            _check_arrays(stage, batch, depth, FEW)
            _check_asked(stage, batch, depth)
            _check_oracle(stage, batch, depth)
    if last.train_depths != task.train_depths:
        raise UserError(f"{task.name}: the last stage trains on {last.train_depths}: allowed is {task.train_depths}")
    for depth in (*task.train_depths, *task.selection_depths, *task.test_depths) if last != task else ():
        batch, trained = _sampled(task, depth, ROWS), _sampled(last, depth, ROWS)
        _check_arrays(last, trained, depth, ROWS)
        asked = batch.targets != NOT_ASKED
        for part in ("tokens", "targets"):
            own, others = getattr(batch, part), getattr(trained, part)
            if own.shape != others.shape or (own != others)[asked | (part == "tokens")].any():
                raise UserError(
                    f"{task.name}: stages end with other {part} than the task's own at depth {depth}: "
                    f"{text(last, trained.tokens[0])} where it has {text(task, batch.tokens[0])}"
                )


def _check_splits(task: Task, depth: int) -> None:
    """No row of one split is a row of another, by the content that `canonical` makes of it."""
    seen: dict[bytes, tuple[str, np.ndarray, np.ndarray]] = {}
    rows = [row for split in SPLITS for row in _contents(task, depth, split)]
    contents = [content for *_, content in rows]
    alike = len({content.shape for content in contents}) == 1  # one by one would take four fifths of all checks' time
    found = content_split(np.concatenate(contents)) if alike else [content_split(content)[0] for content in contents]
    for (split, row, tokens, targets, content), of in zip(rows, found, strict=True):
        other, theirs, answers = seen.setdefault(content.tobytes(), (split, tokens, targets))
        if other != split:
            raise UserError(f"{task.name}: {other} and {split} overlap at depth {depth}: both hold {row}")
        if sorted(targets.tolist()) != sorted(answers.tolist()):
            raise UserError(
                f"{task.name}: canonical makes {text(task, theirs)} and {row} equal, but their answers differ"
            )
        if of != SPLITS[split]:
            raise UserError(
                f"{task.name}: {split} overlaps other splits at depth {depth}: canonical of {row} alone is another "
                "than among other rows, or another each time"
            )


def _contents(task: Task, depth: int, split: str) -> Iterator[tuple[str, str, np.ndarray, np.ndarray, np.ndarray]]:
    """Questions of a split: its name, words, tokens, targets, and what `canonical` makes of each alone, (1, length)."""
    with guard(f"{task.name}: drawing {split} questions at depth {depth}"):
        batch = draw(task, 0, SPLITS[split], depth, 0, DRAWN)
    for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
        row = text(task, tokens)
        with guard(f"{task.name}: canonical of {row}"):
            content = task.canonical(tokens[None].copy())
        if not isinstance(content, np.ndarray) or content.ndim != 2 or len(content) != 1:
            have = getattr(content, "shape", type(content).__name__)
            raise UserError(f"{task.name}: canonical of 1 row {row} returned {have}: allowed is an array (1, length)")
        yield split, row, tokens, targets, content


def text(task: Task, tokens: np.ndarray) -> str:
    """A row in its tokens' words, the middle of a long one left out."""
    words = [task.vocabulary[t] if 0 <= t < len(task.vocabulary) else f"<{t}>" for t in np.ravel(tokens).tolist()]
    if len(words) > SHOWN:
        words = [*words[: SHOWN // 2], f"... {len(words) - SHOWN} more ...", *words[-SHOWN // 2 :]]
    return f"'{' '.join(words)}'"


@contextmanager
def guard(doing: str) -> Iterator[None]:
    """Whatever a user's code raises becomes one line."""
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(in_a_line(doing, error)) from error


def in_a_line(doing: str, error: BaseException) -> str:
    """What was being done, the exception, its message, and the last line of a plugin that it came through."""
    message, frames = " ".join(str(error).split()), through_plugin(error)
    at = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{doing} raised {type(error).__name__}{f': {message}' if message else ''}{at}"


def through_plugin(error: BaseException) -> list[traceback.FrameSummary]:
    """The lines of plugins that an exception came through, the last one last."""
    return [frame for frame in traceback.extract_tb(error.__traceback__) if _is_plugin(frame.filename)]


def _is_plugin(filename: str) -> bool:
    return any(
        getattr(m, "__file__", None) == filename for n, m in [*sys.modules.items()] if n.startswith("loopbench_")
    )
