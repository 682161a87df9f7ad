"""One Experiment is all that decides a result. Frozen, hashable to a run's id, and readable back from its record."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch

from evaluate.records import run_id
from evaluate.run.own_models import added_by, model_origin
from model import MODELS, UNREAD, ConfigError, ModelConfig, check_loops
from tasks import Task, UserError, plugin, task_class, unknown

OPTIMIZERS = ("muon", "adamw")
PRECISIONS = ("float32", "bfloat16")
ANSWERS = ("all", "deepest")

LATER = {
    "architecture": ("memory", "noise", "late", "prelude_window", "head", "stack_injection"),
    "train": ("answers",),
}
"""Fields of a part younger than its first records, as a task's `later` are. At its default such a field is left out, so
that a run keeps its id."""

WITHOUT_LOOPS = ("train.gradient_loops", "train.shortest_horizon", "train.longest_horizon")
UNREAD_IN_TRAINING = {
    "transformer": WITHOUT_LOOPS,
    "transformer_deep": WITHOUT_LOOPS[:1],
    "transformer_rope": WITHOUT_LOOPS,
    "gru": WITHOUT_LOOPS,
}
"""Fields that training a model has no use for. Of a horizon's mean `transformer_deep` has its depth."""


class RunFailed(UserError):
    """One run cannot be carried out, and why; the others of its sweep can."""


@dataclass(frozen=True)
class Train:
    """How a model is trained: the same for every model of a comparison, but for learning rates where that is told."""

    steps: int = 750
    batch: int = 128  # rows a step
    optimizer: str = "muon"  # for the matrices inside Blocks; AdamW takes the rest, or all
    learning_rate: float = 6e-3  # AdamW's
    matrix_learning_rate: float = 3e-2  # Muon's
    weight_decay: float = 0.05
    warmup: int = 100  # steps over which the learning rates rise
    decay: float = 0.3  # last share of the steps, over which they fall to zero
    average: float = 0.25  # last share of the steps, over which the weights are averaged
    clip: float = 1.0  # largest norm of the gradient
    shortest_horizon: int = 6  # loops in a training step are drawn for each row between these two
    longest_horizon: int = 18
    blank: float = 0.125  # share of rows in which one token is blanked out, so that some answers cannot be known
    gradient_loops: int = 5  # the last loops of each row, through which the gradient flows
    precision: str = "float32"  # of products in training; "bfloat16" is autocast
    answers: str = "all"  # that a row asks for; "deepest": of its deepest questions alone, in rows of all depths alike

    @property
    def mean_loops(self) -> float:
        return (self.shortest_horizon + self.longest_horizon) / 2


@dataclass(frozen=True)
class Evaluate:
    """What is asked of a trained model."""

    loops: tuple[int, ...] = (1, 2, 5, 10, 20, 40, 80, 160, 320, 640)
    count: int = 128  # questions a depth
    seed: int = 0  # of the questions: the same for every model and every training seed, so that cells pair up


@dataclass(frozen=True)
class Experiment:
    """Task and its sizes, model and its sizes, training, evaluation, seed.

    A model's name may say what is changed of it: `rdt@halting=none@train.blank=0`; see `as_named`.
    """

    task: Task
    model: str
    seed: int = 0
    architecture: ModelConfig = field(default_factory=ModelConfig)
    train: Train = field(default_factory=Train)
    evaluate: Evaluate = field(default_factory=Evaluate)

    def check(self) -> None:
        """Refuse what cannot be carried out, in one line."""
        if self.base not in MODELS:
            raise unknown("model", self.base, MODELS)
        if as_named(self) != self:
            raise UserError(f"model is {self.model!r}, but its settings say otherwise")
        if not 0 <= self.seed < 2**31:
            raise UserError(f"seed is {self.seed}: allowed is 0 to {2**31 - 1}")
        self.task.check_bands()
        self.check_stages()
        try:
            check_loops(self.evaluate.loops)
        except ConfigError as error:
            raise UserError(f"evaluate.{error}") from None
        train, evaluate = self.train, self.evaluate
        if train.optimizer not in OPTIMIZERS:
            raise unknown("optimizer", train.optimizer, OPTIMIZERS)
        if train.precision not in PRECISIONS:
            raise unknown("precision", train.precision, PRECISIONS)
        if train.answers not in ANSWERS:
            raise unknown("train.answers", train.answers, ANSWERS)
        if train.optimizer == "muon" and not hasattr(torch.optim, "Muon"):
            raise UserError(
                f"train.optimizer is 'muon', which torch {torch.__version__} lacks: allowed here is 'adamw'"
            )
        for name in ("steps", "batch", "shortest_horizon", "gradient_loops"):
            if getattr(train, name) < 1:
                raise UserError(f"train.{name} is {getattr(train, name)}: allowed is 1 or more")
        if train.longest_horizon < train.shortest_horizon:
            raise UserError(
                f"train.longest_horizon is {train.longest_horizon}: "
                f"allowed is train.shortest_horizon, {train.shortest_horizon}, or more"
            )
        for name in ("learning_rate", "matrix_learning_rate", "clip"):
            if not 0 < getattr(train, name) < float("inf"):
                raise UserError(f"train.{name} is {getattr(train, name)}: allowed is any number above 0")
        for name in ("decay", "average", "blank"):
            if not 0 <= getattr(train, name) <= 1:
                raise UserError(f"train.{name} is {getattr(train, name)}: allowed is a share from 0 to 1")
        for name in ("warmup", "weight_decay"):
            if not 0 <= getattr(train, name) < float("inf"):
                raise UserError(f"train.{name} is {getattr(train, name)}: allowed is 0 or more")
        if evaluate.count < 1:
            raise UserError(f"evaluate.count is {evaluate.count}: allowed is 1 or more")
        if not 0 <= evaluate.seed < 2**31:
            raise UserError(f"evaluate.seed is {evaluate.seed}: allowed is 0 to {2**31 - 1}")

    def check_stages(self) -> None:
        """Refuse a curriculum that a task made smaller cannot have, or that trains deeper than the task does."""
        task = self.task
        try:
            stages = task.stages
        except UserError as error:
            raise UserError(f"at a stage of task.curriculum, {error}") from None
        for stage in stages:
            stage.check_depth(stage.train_depths[-1])
            if stage.train_depths[-1] > task.train_depths[-1]:
                raise UserError(
                    f"{task.name}: a stage of task.curriculum trains to depth {stage.train_depths[-1]}: allowed is "
                    f"{task.train_depths[-1]}, the deepest of train_depths"
                )

    def to_json(self) -> dict[str, Any]:
        """The whole experiment as plain JSON data, the task by its name, version and sizes, and a plugin's code."""
        plain = dataclasses.asdict(self)
        for part, names in LATER.items():
            for name in names:
                if plain[part][name] == getattr(type(getattr(self, part)), name):
                    del plain[part][name]
        plain["task"] = {name: value for name, value in plain["task"].items() if not self.task.left_out(name)}
        origin = plugin.origin(self.task)
        kept = {"name": self.task.name, "version": self.task.version, **({"plugin": origin} if origin else {})}
        plain["task"] = {**kept, **plain["task"]}
        model = model_origin(self.base)
        if model:
            plain["model_plugin"] = model
        if added := [stamp for stamp in added_by() if stamp not in (model, origin)]:
            plain["parts_plugin"] = ", ".join(added)
        return typing.cast(dict[str, Any], json.loads(json.dumps(plain)))

    @property
    def base(self) -> str:
        """The model that is built: the name without the changes that it says."""
        return self.model.partition("@")[0]

    @property
    def vocabulary(self) -> int:
        """The size of a model's vocabulary: the task's, and the blank behind it."""
        return len(self.task.vocabulary) + 1

    @property
    def run(self) -> str:
        """The run's id: the hash of the whole experiment."""
        return run_id(self.to_json())


def from_json(plain: dict[str, Any]) -> Experiment:
    """The experiment of a run's record. UserError where this code has none such, whatever the record holds."""
    try:
        sizes = {k: v for k, v in plain["task"].items() if k not in ("name", "version", "plugin")}
        cls = task_class(plain["task"]["name"])
        return Experiment(
            task=_fill(cls, sizes),
            model=plain["model"],
            seed=plain["seed"],
            architecture=_fill(ModelConfig, plain["architecture"]),
            train=_fill(Train, plain["train"]),
            evaluate=_fill(Evaluate, plain["evaluate"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"this code has no such experiment: {error}") from None


def _fill(cls: type, values: dict[str, Any]) -> Any:
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def dotted_fields(experiment: Experiment) -> dict[str, type]:
    """Every field that may be set by its dotted name, with its type: {'train.steps': int, ...}."""
    names: dict[str, Any] = {}
    for part in ("task", "architecture", "train", "evaluate"):
        value = getattr(experiment, part)
        hints = typing.get_type_hints(type(value))
        names.update({f"{part}.{f.name}": hints[f.name] for f in fields(value)})
    return names


def override(experiment: Experiment, changes: Iterable[tuple[str, str]]) -> Experiment:
    """The experiment with fields, by their dotted names, set to what a user wrote: those of one part all at once, as a
    size may be allowed by another one alone."""
    known = dotted_fields(experiment)
    parts: dict[str, dict[str, Any]] = {}
    for name, text in changes:
        part, _, leaf = name.partition(".")
        if name not in known:
            of_part = [field for field in known if field.startswith(f"{part}.")]
            raise unknown(f"field of {experiment.task.name}" if part == "task" else "field", name, of_part or known)
        parts.setdefault(part, {})[leaf] = _parse(name, known[name], text)
    try:
        changed: dict[str, Any] = {part: replace(getattr(experiment, part), **values) for part, values in parts.items()}
        return replace(experiment, **changed)
    except ConfigError as error:
        raise UserError(str(error)) from None


def unread(base: str, name: str) -> bool:
    """Whether a model is the same whatever the field of this dotted name says; `architecture.` may be left out."""
    return name.removeprefix("architecture.") in UNREAD.get(base, ()) or name in UNREAD_IN_TRAINING.get(base, ())


def as_named(experiment: Experiment) -> Experiment:
    """The experiment with what its model's name says: `@` and a field of `architecture`, or `train.` and one of its
    fields, as often as you like. A variant has a name of its own, and stands beside others in one folder and table.
    """
    changes = []
    for change in experiment.model.split("@")[1:]:
        name, equals, value = change.partition("=")
        part, dot, _ = name.partition(".")
        if not equals or (dot and part not in ("architecture", "train")):
            raise UserError(f"model {experiment.model!r} says {change!r}: allowed are halting=none, train.blank=0, ...")
        if unread(experiment.base, name):
            raise UserError(f"model {experiment.model!r} says {change!r}: {experiment.base} has no use for it")
        changes.append((name if dot else f"architecture.{name}", value))
    return override(experiment, changes)


def _parse(name: str, wanted: Any, text: str) -> Any:
    try:
        if typing.get_origin(wanted) is tuple:
            return tuple(int(part) for part in text.split(",")) if text else ()
        if wanted is bool:
            return {"true": True, "false": False}[text.lower()]
        return wanted(text)
    except (ValueError, KeyError, OverflowError):
        kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "a name"}
        kind = kinds.get(wanted, "whole numbers separated by commas")
        raise UserError(f"{name} is {text!r}: allowed is {kind}") from None
