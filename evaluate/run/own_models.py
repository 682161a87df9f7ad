"""A user's own models, parts and rules: what a plugin holds is proven on a few rows, and then stands beside ours."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from model import MODELS, RDT, SUMMARIES, ModelConfig
from model.attention import ATTENTION, Places
from model.halting import GATE
from model.injection import INJECTION
from model.moe import FEED_FORWARD
from model.rdt import Outputs
from model.stopping import OURS, RULES
from tasks import UserError, plugin
from tasks.checks import guard

SHARED: tuple[Mapping[str, Any], ...] = (INJECTION, ATTENTION, FEED_FORWARD, GATE, RULES)
"""What a plugin may add to, and any model may then use."""

VOCABULARY, SHAPE, LOOPS, NEAR = 7, (3, 40), 4, 1e-4  # of the rows that they are proven on, and of equal logits
SHAKEN = 0.02  # noise on their weights
ASKED = (1, 2, 3, 40)  # loops, as evaluation asks for many at once, few and far
_own: dict[str, str] = {}  # the plugin's stamp of each model that is listed


def list_own_models(check: bool = True) -> list[str]:
    """List the models of all loaded plugins; returns their names. `check`: False where another process has done it."""
    names = []
    if check:
        check_rules()
    for name, (make, stamp) in plugin.models().items():
        if name in MODELS and name not in _own:
            raise UserError(f"{stamp.split()[0]}: the name {name!r} is already taken: choose another")
        if check:
            check_model(name, make)
        MODELS[name], _own[name] = make, stamp
        SUMMARIES[name] = (make.__doc__ or f"from {stamp.split()[0]}").strip().split("\n")[0]
        names.append(name)
    return names


def model_origin(name: str) -> str | None:
    """The plugin that a model comes from, so that edited code is another experiment; None for one of ours."""
    return _own.get(name)


def added_by() -> list[str]:
    """Stamps of the plugins that have put a part or a rule of their own among ours, where any model may use it."""
    modules = {getattr(part, "__module__", None) for held in SHARED for part in held.values()}
    return sorted(stamp for module, stamp in plugin.stamps().items() if module in modules)


@torch.no_grad()
def check_model(name: str, make: Callable[..., Any]) -> None:
    """Prove the contract of a model on random tokens, or tell the first breach in one line: shapes, numbers, that it
    answers a place alike each time, by nothing behind it and no other row, after so many loops alike however many more
    are asked for, and that it can be trained. Where loops change nothing of what it answers, it says so."""
    whose, (batch, length) = f"model {name!r}", SHAPE
    tokens = torch.randint(VOCABULARY, SHAPE, generator=torch.Generator().manual_seed(0))
    with guard(whose):
        net = make(ModelConfig(), VOCABULARY, 12.0)
        if not isinstance(net, nn.Module):
            raise UserError(f"{whose} is a {type(net).__name__}: allowed is a torch.nn.Module")
        if lazy := [name for name, weight in net.named_parameters() if is_lazy(weight)]:
            raise UserError(f"{whose}: {lazy[0]} has no shape yet: allowed are parameters that are made at once")
        net.eval()
        loops = ASKED if getattr(net, "looped", True) else None
        logits = net(tokens, loops)
    wanted = (len(loops) if loops else 1, batch, length, VOCABULARY)
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != wanted:
        raise UserError(f"{whose}: forward(tokens, {loops}) gave {shape_of(logits)}: allowed are logits {wanted}")
    sure = slice(-1 if loops else None)  # 40 loops may be too many for fresh weights
    if not logits[sure].isfinite().all():
        raise UserError(f"{whose}: its logits are not all finite")
    with guard(whose):
        fresh = {path: weight.clone() for path, weight in net.state_dict().items()}
        shake(net)
        if not net(tokens, loops)[sure].isfinite().all():  # a weight that may not be less than it was
            net.load_state_dict(fresh)
        changed = torch.cat([tokens[:, :-1], (tokens[:, -1:] + 1) % VOCABULARY], 1)
        logits, again, other, alone = (net(rows, loops) for rows in (tokens, tokens, changed, tokens[:1]))
        each = [net(tokens, (count,)) for count in ASKED[:-1]] if loops else []
    if not torch.allclose(logits, again, atol=NEAR, equal_nan=True):
        raise UserError(f"{whose} gave other logits when it was asked again: allowed are models that draw nothing then")
    if any(not torch.allclose(logits[i], own[0], atol=NEAR, equal_nan=True) for i, own in enumerate(each)):
        raise UserError(f"{whose}: what it answers after 1, 2 and 3 loops depends on how many more are asked for")
    if not torch.allclose(logits[:, :, :-1], other[:, :, :-1], atol=NEAR, equal_nan=True):
        raise UserError(f"{whose} answers a position by what stands behind it: allowed are causal models")
    if not torch.allclose(logits[:, :1], alone, atol=NEAR, equal_nan=True):
        raise UserError(f"{whose} answers a row by the rows beside it (is the batch its first axis?)")
    check_training(whose, net.train(), tokens)
    from evaluate.run.ranks import speaks

    if loops and all(torch.equal(logits[0], more) for more in logits[1:]) and speaks():
        told = f"{whose} answers alike however many loops it is asked for: if it has none, say `looped = False`"
        print(told, file=sys.stderr)


def shake(net: nn.Module) -> None:
    """A little noise on what is trained: a head or a gate that begins at zero would answer everything alike."""
    noise = torch.Generator().manual_seed(1)
    for weight in net.parameters():
        if weight.requires_grad:
            weight.add_(torch.randn(weight.shape, generator=noise).to(weight), alpha=SHAKEN)


@torch.enable_grad()
def check_training(whose: str, net: nn.Module, tokens: Tensor) -> None:
    """Has what it answers in training a gradient?"""
    with guard(whose):
        if hasattr(net, "training_outputs"):
            outputs = net.training_outputs(tokens, [3, 2, 1], 2)  # type: ignore[operator]  # as in training, they fall
            if not all(hasattr(outputs, part) for part in Outputs._fields):
                allowed = f"model.rdt.Outputs({', '.join(Outputs._fields)})"
                raise UserError(f"{whose}: training_outputs gave {shape_of(outputs)}: allowed is {allowed}")
            logits = outputs.answers[0]
        else:
            logits = net(tokens, (3,) if getattr(net, "looped", True) else None)[0]
    if not isinstance(logits, Tensor) or tuple(logits.shape) != (*SHAPE, VOCABULARY):
        raise UserError(f"{whose} gave {shape_of(logits)} in training: allowed are logits {(*SHAPE, VOCABULARY)}")
    if not logits.requires_grad:
        raise UserError(f"{whose}: what it answers in training has no gradient, so that nothing of it could be trained")


@torch.no_grad()
def check_rules() -> None:
    """Prove the contract of the rules that plugins have added, on a small RDT: names, shapes and ranges."""
    own = {name: rule for name, rule in RULES.items() if getattr(rule, "__module__", None) in plugin.stamps()}
    taken = ("none", "fixed", "oracle", *OURS, *ModelConfig.PARTS["halting"])
    if not own:
        return
    net = RDT(ModelConfig(), VOCABULARY).eval()
    tokens = torch.randint(VOCABULARY, SHAPE, generator=torch.Generator().manual_seed(0))
    states = list(islice(net.trajectory(tokens), LOOPS + 1))
    answering = tokens > 1
    places = Places.where(tokens > 2)
    for name, made in own.items():
        whose = f"rule {name!r}"
        if name in taken or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise UserError(f"{whose}: allowed are lower-case letters, digits and _, and none of {', '.join(taken)}")
        with guard(whose):
            rule = made(net, states[0], places, answering)
            for h in states[1:]:
                rule.see(h)
            logits, used = rule.logits(), rule.used()
        for part, found, wanted in (
            ("logits()", logits, (len(places.row), VOCABULARY)), ("used()", used, (len(places.row),))
        ):  # fmt: skip
            if not isinstance(found, Tensor) or tuple(found.shape) != wanted:
                raise UserError(f"{whose}: {part} gave {shape_of(found)}: allowed is {wanted}, an entry a place asked")
        if not bool(((used >= 0) & (used <= LOOPS)).all()):
            raise UserError(f"{whose}: used() gave {float(used.min()):g} to {float(used.max()):g} after {LOOPS} loops")


def shape_of(found: object) -> str:
    return str(tuple(found.shape)) if isinstance(found, Tensor) else type(found).__name__
