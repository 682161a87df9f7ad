"""The model's parts against their definitions, written out the slow way."""

from dataclasses import replace
from functools import partial
from itertools import islice

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import model as models
from model import parameters
from model.adapters import DepthwiseLoRA, own_adapters
from model.attention import LatentAttention, see_window
from model.block import Block
from model.halting import Halting, SureGate
from model.injection import INJECTION, LTIInjection, NormedInjection, UnconstrainedInjection
from model.moe import MixtureOfExperts, Router
from model.norm import InFewPasses, RMSNorm
from tests.small import SMALL, VOCABULARY, rdt, shaken, some_tokens


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


# injection


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_spectral_radius_is_below_one_for_every_parameter(dtype):
    injection = LTIInjection(SMALL)
    extremes = [0.0, 1e-30, 1.0, 20.0, 88.0, 1e9, 3e38]
    values = torch.tensor([sign * x for x in extremes for sign in (1, -1)] + torch.randn(18).mul(100).tolist())
    injection.a = nn.Parameter(values.to(dtype))
    a = injection.decay()
    assert a.dtype == dtype and a.isfinite().all()
    assert (a < 1).all() and (a >= 0).all()
    assert a.max() > 0.9 and a.min() < 1e-6  # the whole range is there to be learnt


def test_injection_follows_its_closed_form():
    injection = LTIInjection(SMALL).double()
    e = torch.randn(2, 3, SMALL.width, dtype=torch.double)
    h = torch.zeros_like(e)
    for _ in range(9):
        h = injection(h, e)
    a = injection.decay()
    assert torch.allclose(h, (1 - a**9) / (1 - a) * injection.b * e, atol=1e-12)


def test_the_plain_injections_add_the_input_or_leave_it_out():
    h, e = torch.randn(2, 2, 3, SMALL.width)
    assert torch.equal(INJECTION["additive"](SMALL)(h, e), h + e) and torch.equal(INJECTION["none"](SMALL)(h, e), h)
    normed = h / h.pow(2).mean(-1, keepdim=True).sqrt()
    assert torch.allclose(INJECTION["normed_additive"](SMALL)(h, e), normed + e, atol=1e-5)


def test_the_unconstrained_injection_starts_as_the_lti_does_and_may_pass_one():
    free, bound = UnconstrainedInjection(SMALL), LTIInjection(SMALL)
    assert not torch.equal(free.a, bound.a) and torch.allclose(free.decay(), bound.decay())
    h, e = torch.randn(2, 2, 3, SMALL.width)
    assert torch.allclose(free(h, e), bound(h, e), atol=1e-6)
    free.a = nn.Parameter(torch.full_like(free.a, -1.5))
    assert torch.allclose(free(h, e), -1.5 * h + e)
    assert torch.equal(rdt(injection="unconstrained").inject.decay(), UnconstrainedInjection(SMALL).decay())


def test_the_normed_injection_weighs_every_state_alike():
    h, e = torch.randn(2, 2, 3, SMALL.width)
    normed, plain = NormedInjection(SMALL), LTIInjection(SMALL)
    assert torch.allclose(normed(h, e), plain(h / h.pow(2).mean(-1, keepdim=True).sqrt(), e), atol=1e-5)
    assert torch.allclose(normed(1e3 * h, e), normed(h, e), atol=1e-5)
    assert torch.equal(normed(torch.zeros_like(h), e), plain(torch.zeros_like(h), e))  # the first loop
    assert isinstance(rdt(injection="normed").inject, NormedInjection)


@pytest.mark.parametrize("kind", [LTIInjection, NormedInjection, UnconstrainedInjection])
def test_memory_is_what_a_begins_at(kind):
    assert torch.allclose(kind(SMALL).decay(), torch.full((SMALL.width,), 0.2**0.5))
    for memory in (0.01, 0.2, 0.99):
        assert torch.allclose(kind(replace(SMALL, memory=memory)).decay(), torch.full((SMALL.width,), memory))


def test_state_stays_bounded():
    model = rdt()
    h = next(islice(model.trajectory(some_tokens()), 200, None))
    assert h.isfinite().all() and h.abs().max() < 1e3


# norm


@pytest.mark.parametrize("shape", [(6,), (5, 6), (3, 4, 6)])
def test_the_norm_and_its_derivative_are_torchs(shape):
    ours, theirs = RMSNorm(6).double(), nn.RMSNorm(6).double()
    ours.weight.data.normal_()
    theirs.weight.data.copy_(ours.weight)
    x = torch.randn(shape, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: InFewPasses.apply(x, w), (x, ours.weight))
    g = torch.randn(shape, dtype=torch.double)
    found, right = ((y := norm(x), *torch.autograd.grad(y, (x, norm.weight), g)) for norm in (ours, theirs))
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(found, right, strict=True))
    assert not ours(torch.zeros(2, 6, dtype=torch.double)).any()


# attention


def slow_window(q, k, v, window):
    length = q.shape[2]
    ago = torch.arange(length)[:, None] - torch.arange(length)
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    return scores.masked_fill((ago < 0) | (ago >= window), float("-inf")).softmax(-1) @ v


@pytest.mark.parametrize("length,window", [(1, 3), (2, 3), (9, 3), (9, 1), (5, 9), (30, 9), (40, 32), (40, 2**20)])
def test_local_heads_see_exactly_their_window(length, window):
    q, k, v = (torch.randn(2, 2, length, width, dtype=torch.double) for width in (6, 6, 5))
    assert torch.allclose(see_window(q, k, v, window), slow_window(q, k, v, window), atol=1e-12)


@pytest.mark.parametrize("kind", ["latent", "full"])
def test_attention_is_causal_and_local_heads_are_local(kind):
    model = rdt(attention=kind, local_heads=4)
    x = torch.randn(1, 9, SMALL.width, requires_grad=True)
    model.recurrent[0].attention(x, 0)[0, 6].sum().backward()
    seen = x.grad[0].abs().sum(-1) > 0
    assert seen.tolist() == [False] * 4 + [True] * 3 + [False] * 2
    model = rdt(attention=kind, local_heads=0)
    x = torch.randn(1, 9, SMALL.width, requires_grad=True)
    model.recurrent[0].attention(x, 0)[0, 6].sum().backward()
    assert (x.grad[0].abs().sum(-1) > 0).tolist() == [True] * 7 + [False] * 2


def test_global_heads_have_no_position():
    attention = LatentAttention(replace(SMALL, local_heads=0), models.block.Projection)
    x = torch.randn(1, 8, SMALL.width)
    order = torch.tensor([3, 0, 5, 1, 6, 2, 4, 7])  # the last position stays last
    assert torch.allclose(attention(x)[0, -1], attention(x[:, order])[0, -1], atol=1e-6)


def test_local_heads_know_only_relative_positions():
    attention = LatentAttention(replace(SMALL, local_heads=4), models.block.Projection)
    x = torch.randn(1, 6, SMALL.width)
    later = torch.cat([torch.randn(1, 50, SMALL.width), x], dim=1)
    assert torch.allclose(attention(x)[0, -1], attention(later)[0, -1], atol=1e-5)
    swapped = x[:, [0, 1, 2, 4, 3, 5]]
    assert not torch.allclose(attention(x)[0, -1], attention(swapped)[0, -1], atol=1e-3)


def test_the_whole_model_is_causal():
    model = rdt()
    tokens = some_tokens(1, 8)
    changed = tokens.clone()
    changed[0, 5] = (changed[0, 5] + 1) % VOCABULARY
    a, b = model(tokens, (4,)), model(changed, (4,))
    assert torch.equal(a[:, :, :5], b[:, :, :5]) and not torch.equal(a[:, :, 5:], b[:, :, 5:])


# experts


@pytest.mark.parametrize("training", [True, False])
def test_mixture_equals_a_loop_over_positions_and_experts(training):
    moe = MixtureOfExperts(SMALL, models.block.Projection).train(training)  # expert by expert, and all at once
    x = torch.randn(2, 3, SMALL.width)
    moe.router.bias += torch.tensor([0.3, 0.0, -0.3, 0.1])
    enter = moe.enter.weight.view(5, 2, moe.hidden, -1)
    leave = moe.leave.weight.view(-1, 5, moe.hidden)
    slow = torch.zeros_like(x)
    for b in range(2):
        for i in range(3):
            scores = moe.router.score(x[b, i]).sigmoid()
            best = sorted(range(4), key=lambda e: -(scores[e] + moe.router.bias[e]).item())[:2]
            weight = {0: 1.0} | {1 + e: scores[e] / sum(scores[f] for f in best) for e in best}
            for e, w in weight.items():
                slow[b, i] += w * leave[:, e] @ (F.silu(enter[e, 0] @ x[b, i]) * (enter[e, 1] @ x[b, i]))
    assert torch.allclose(moe(x), slow, atol=1e-5)


@pytest.mark.parametrize("shared,loop", [(1, None), (0, 2), (2, "rows")])
def test_both_ways_through_the_experts_agree(shared, loop):
    """With every kind of adapter, and gradients too."""
    config = replace(SMALL, shared_experts=shared)
    moe = shaken(MixtureOfExperts(config, partial(DepthwiseLoRA, config=config)))
    loop = own_adapters(torch.tensor([0, 1, 5]), config) if loop == "rows" else loop
    x = torch.randn(3, 4, SMALL.width)
    grads = []
    for way in (moe.by_expert, moe.all_at_once):
        y = way(x, *moe.router(x), loop)
        moe.zero_grad()
        y.square().sum().backward()
        grads.append((y, [p.grad for p in moe.parameters() if p.grad is not None]))
    (a, one), (b, other) = grads
    assert torch.allclose(a, b, atol=1e-4) and len(one) == len(other)
    assert all(torch.allclose(g, h, atol=1e-3) for g, h in zip(one, other, strict=True))
    assert all(g.any() for g in one)


def test_router_bias_moves_against_the_load_in_training_only():
    router = Router(8, 4, 2, rate=0.001)
    router.score.weight.data.zero_()
    router.bias += torch.tensor([1.0, 1.0, 0.0, 0.0])  # the first two get everything
    before = router.bias.clone()
    router.eval()
    router(torch.randn(5, 8))
    assert router.load.sum() == 0
    router.train()
    chosen, weights = router(torch.randn(5, 8))
    assert (chosen < 2).all() and (weights == 0.5).all()  # chosen by score and bias, weighed by score alone
    router.balance()
    assert torch.allclose(router.bias - before, torch.tensor([-0.001, -0.001, 0.001, 0.001]))
    assert router.load.sum() == 0


def test_an_unbalanced_router_evens_out():
    router = Router(16, 4, 1, rate=0.01)
    router.bias += torch.tensor([0.5, 0.0, 0.0, 0.0])
    for _ in range(200):
        router(torch.randn(256, 16))
        router.balance()
    router(torch.randn(4096, 16))
    assert router.load.max() / router.load.mean() < 1.5


# adapters


def test_adapters_start_tied_and_add_what_the_formula_says():
    with_adapters, without = Block(SMALL, looped=True), Block(replace(SMALL, adapters="none"), looped=True)
    without.load_state_dict(
        {k: v for k, v in with_adapters.state_dict().items() if ".down" not in k and ".up" not in k}
    )
    x = torch.randn(2, 5, SMALL.width)
    assert torch.allclose(with_adapters(x, 3), without(x, 3), atol=1e-6)
    adapted = [m for m in with_adapters.modules() if isinstance(m, DepthwiseLoRA)]
    linear = [m for m in with_adapters.modules() if isinstance(m, nn.Linear)]
    assert len(adapted) == 5 == len(linear) - 1  # every projection; the router is none
    shaken(with_adapters)
    assert not torch.allclose(with_adapters(x, 2), with_adapters(x, 3), atol=1e-3)
    extra = sum(SMALL.adapter_loops * SMALL.adapter_rank * (m.in_features + m.out_features) for m in adapted)
    assert parameters(with_adapters) - parameters(without) == extra


@pytest.mark.parametrize("past,same_as", [("hold", 3), ("cycle", 82 % 4), ("off", None)])
def test_adapters_past_the_trained_loops(past, same_as):
    adapted = DepthwiseLoRA(6, 5, replace(SMALL, adapter_past=past))
    adapted.up.data.normal_()
    x = torch.randn(4, 3, 6)
    expected = F.linear(x, adapted.weight) if same_as is None else adapted(x, same_as)
    assert torch.allclose(adapted(x, 82), expected, atol=1e-6)
    assert not torch.allclose(adapted(x, 2), adapted(x, 3))
    rows = torch.tensor([0, 3, 9, 82])  # rows in different loops equal each row on its own
    one_by_one = torch.cat([adapted(x[i : i + 1], int(t)) for i, t in enumerate(rows)])
    assert torch.allclose(adapted(x, own_adapters(rows, replace(SMALL, adapter_past=past))), one_by_one, atol=1e-5)


# halting


def slow_act(states, probabilities):
    """Graves' equations for one position: its halted state, N and R; the last state given is the last there is."""
    total = 0.0
    for n, p in enumerate(probabilities, 1):
        if total + p >= 0.99 or n == len(states):
            remainder = 1.0 - total
            weights = [*probabilities[: n - 1], remainder]
            return sum(w * s for w, s in zip(weights, states, strict=False)), n, remainder
        total += p
    raise AssertionError


@pytest.mark.parametrize("last", [1, 2, 5, 12])
def test_act_is_graves_at_every_loop_count(last):
    probabilities, states = torch.rand(last, 4, 5) * 0.3, torch.randn(last, 4, 5, 6)
    halting, ones = Halting.start(states[0]), Halting.start(torch.ones(4, 5, 1))
    for n in range(last):
        halting = halting.step(states[n], probabilities[n])
        ones = ones.step(torch.ones(4, 5, 1), probabilities[n])
    assert torch.allclose(ones.finish(torch.ones(4, 5, 1)), torch.ones(4, 5, 1), atol=1e-6)  # weights sum to one
    for b in range(4):
        for i in range(5):
            h, n, r = slow_act(states[:, b, i], probabilities[:, b, i].tolist())
            assert torch.allclose(halting.finish(states[-1])[b, i], h, atol=1e-5)
            assert halting.loops[b, i] == n
            assert torch.allclose(halting.ponder()[b, i], torch.tensor(n + r), atol=1e-5)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_training_pays_a_hundredth_of_what_is_pondered(probability):
    class Always(nn.Module):
        def forward(self, h):
            return torch.full(h.shape[:2], probability), None

    model, horizons = rdt(), [9, 5, 2]
    model.gate = Always()
    pondered = [sum(slow_act([0.0] * n, [probability] * n)[1:]) for n in horizons]
    penalty = model.training_outputs(some_tokens(3), horizons, gradient_loops=3).penalty
    assert float(penalty) == pytest.approx(0.01 * sum(pondered) / 3, rel=1e-5)


def test_what_has_halted_stays_what_it_was():
    halting = Halting.start(torch.zeros(1, 2, 3))
    halting = halting.step(torch.ones(1, 2, 3), torch.tensor([[1.0, 0.2]]))
    later = halting.step(torch.full((1, 2, 3), 7.0), torch.tensor([[0.5, 0.2]]))
    assert torch.equal(later.mixed[0, 0], torch.ones(3)) and later.loops.tolist() == [[1.0, 2.0]]
    assert later.mixed[0, 1, 0] == pytest.approx(0.2 + 0.2 * 7)


def test_the_sure_gate_never_leaks_while_unsure_and_learns():
    gate = SureGate(SMALL, VOCABULARY)
    probability, logits = gate(torch.randn(2, 3, SMALL.width))
    assert torch.equal(probability, torch.zeros(2, 3)) and logits.shape == (
        2,
        3,
        VOCABULARY,
    )  # exactly zero: no deadline
    gate.probe.weight.data *= 20  # sure of something
    probability, _ = gate(torch.randn(64, 3, SMALL.width))
    inside = (probability > 0) & (probability < 1)
    assert inside.any()
    probability.sum().backward()
    assert gate.slope.grad.abs() > 0 and gate.middle.grad < 0
