"""The model's parts against their definitions, written out the slow way."""

from dataclasses import fields, replace
from functools import partial
from itertools import islice

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

import model as models
from model import GRU, MODELS, RDT, UNREAD, ConfigError, ModelConfig, Transformer, build, parameters
from model.adapters import DepthwiseLoRA, own_adapters, shared_loop
from model.attention import LatentAttention, see_window
from model.block import Block
from model.halting import Halting, SureGate
from model.injection import INJECTION, LTIInjection, NormedInjection, UnconstrainedInjection
from model.moe import MixtureOfExperts, Router
from model.norm import InFewPasses, RMSNorm
from model.rdt import late_starters, noisy
from model.weights import load_weights

MATCHED = ("transformer", "transformer_rope", "gru")  # as many parameters as the RDT, whatever that takes
SMALL = ModelConfig(width=32, head_width=8, latent=16, rope_width=4, expert_width=16)
VOCABULARY = 20


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def shaken(module):
    """The module as if it had been trained: weights that start at zero are moved."""
    for parameter in module.parameters():
        if parameter.dim() == 2 and not parameter.any():
            nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
    return module


def rdt(**changes):
    return shaken(RDT(replace(SMALL, **changes), VOCABULARY)).eval()


def some_tokens(batch=3, length=7):
    return torch.randint(VOCABULARY, (batch, length))


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


# the whole


def test_one_pass_answers_for_every_loop_count():
    model, tokens = rdt(), some_tokens()
    together = model(tokens, (0, 1, 3, 6))
    assert together.shape == (4, 3, 7, VOCABULARY)
    for i, loops in enumerate((0, 1, 3, 6)):
        assert torch.equal(together[i], model(tokens, (loops,))[0])
    assert not torch.equal(together[2], together[3])


@pytest.mark.parametrize("loops", [(), (2, 2), (3, 1), (-1, 2)])
def test_loops_must_increase(loops):
    with pytest.raises(ConfigError, match="loops is"):
        rdt()(some_tokens(), loops)


def test_any_loop_count_and_length():
    model = rdt()
    assert model(some_tokens(1, 3), (0, 1, 400)).isfinite().all()
    assert model(some_tokens(1, 200), (3,)).isfinite().all()
    assert model(some_tokens(0, 5), (3,)).shape == (1, 0, 5, VOCABULARY)


PARTS = [
    {"attention": "full"},
    {"feed_forward": "dense"},
    {"injection": "additive"},
    {"injection": "none"},
    {"adapters": "none"},
    {"adapter_past": "cycle"},
    {"adapter_past": "off"},
    {"halting": "none"},
    {"halting": "graves"},
    {"head": "tied"},
    {"loop_signal": "sinusoidal"},
    {"local_heads": 0},
    {"local_heads": 4},
]


@pytest.mark.parametrize("change", [{}, *PARTS], ids=str)
def test_every_part_can_be_replaced_and_every_parameter_learns(change):
    model = rdt(**change).train()
    if isinstance(model.gate, SureGate):
        model.gate.middle.data.fill_(-3.0)  # within reach of a fresh probe
    outputs = model.training_outputs(some_tokens(6), [9, 9, 7, 3, 2, 1], gradient_loops=9)
    judged = [*outputs.answers, *outputs.probes]
    loss = outputs.penalty + sum(F.cross_entropy(x.flatten(0, 1), some_tokens(6).flatten()) for x in judged)
    loss.backward()
    still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not still


@pytest.mark.parametrize("name", MODELS)
def test_a_tied_head_answers_by_the_embedding(name):
    own, tied = (build(name, replace(SMALL, head=head), VOCABULARY, 3) for head in ("own", "tied"))
    if name not in MATCHED:  # whose experts or units make up for what is missing
        assert parameters(own) - parameters(tied) == VOCABULARY * SMALL.width
    seen = []
    tied.output_norm.register_forward_hook(lambda module, given, made: seen.append(made))
    tokens, loops = some_tokens(), (2,) if tied.looped else None
    logits = tied.eval()(tokens, loops)[0]
    assert torch.allclose(logits, seen[0] @ tied.embed.weight.T, atol=1e-5)
    held = {key: value.clone() for key, value in tied.state_dict().items()}
    again = build(name, replace(SMALL, head="tied"), VOCABULARY, 3).eval()
    again.load_state_dict(held)
    assert torch.equal(again(tokens, loops)[0], logits) and again.head.weight is again.embed.weight


@pytest.mark.parametrize(
    "signal", [{}, {"loop_signal": "sinusoidal"}, {"loop_signal": "sinusoidal", "adapters": "none"}]
)
def test_training_rows_end_where_their_own_horizon_ends(signal):
    """Rows of different horizons, unrolled together, are what each would be alone."""
    model = rdt(global_drop=0.0, halting="graves", **signal).train()
    tokens = some_tokens(4)
    horizons = [9, 6, 4, 2]
    for gradient_loops in (1, 3, 20):
        logits = model.training_outputs(tokens, horizons, gradient_loops).answers[0]
        for row, horizon in enumerate(horizons):
            alone = model(tokens[row : row + 1], (horizon,))[0]
            assert torch.allclose(logits[row : row + 1], alone, atol=1e-5)


@pytest.mark.parametrize("gradient_loops", [1, 4, 20])
def test_training_halts_as_inference_does(gradient_loops):
    model = rdt(global_drop=0.0, halting="graves").train()
    model.gate.gate.bias.data.fill_(-1.5)
    tokens, horizons = some_tokens(4), [12, 9, 4, 2]
    outputs = model.training_outputs(tokens, horizons, gradient_loops)
    for row, horizon in enumerate(horizons):
        first, *later = islice(model.trajectory(tokens[row : row + 1]), horizon + 1)
        halting = Halting.start(first)
        for h in later:
            halting = halting.step(h, model.gate(h)[0])
        assert torch.allclose(outputs.answers[1][row], model.read(halting.finish(h))[0], atol=1e-5)
        if row == 0:
            assert (halting.loops < 12).any()  # some have halted before the end


def test_gradient_is_cut_before_the_last_loops():
    def gradient(loops):
        model = rdt(global_drop=0.0, injection="none")  # e is only the first state: its gradient must pass every loop
        model.train().training_outputs(some_tokens(2), [6, 6], loops).answers[0].sum().backward()
        return model.embed.weight.grad

    torch.manual_seed(1)
    assert gradient(6).abs().sum() > 0
    torch.manual_seed(1)
    cut = gradient(5)
    assert cut is None or cut.abs().sum() == 0


# baselines


def test_baselines_match_their_targets():
    from torch.utils.flop_counter import FlopCounterMode

    for config in (SMALL, ModelConfig(), ModelConfig(width=128, head_width=32, experts=8)):
        for vocabulary in (20, 100):
            full = RDT(config, vocabulary)
            for name in MATCHED:
                same_size = build(name, config, vocabulary, 10)
                assert abs(parameters(same_size) / parameters(full) - 1) < 0.02
        deep = build("transformer_deep", config, 20, 10)
        counts = []
        for model, loops in ((full, (10,)), (deep, None)):
            with FlopCounterMode(display=False) as counter:
                model(torch.zeros(64, 16, dtype=torch.long), loops)
            counts.append(counter.get_total_flops())
        assert abs(counts[1] / counts[0] - 1) < 0.05


@pytest.mark.parametrize("name", ["looped", "looped_normed"])
def test_looped_is_the_plain_looped_transformer_and_may_have_a_norm_on_its_state(name):
    model = shaken(build(name, SMALL, VOCABULARY, 10)).eval()
    e = model.encode(some_tokens())
    h = 7 * torch.randn_like(e)
    kept = h / h.pow(2).mean(-1, keepdim=True).sqrt() if name == "looped_normed" else h
    torch.testing.assert_close(model.step(h, e, 3), model.recurrent[0](kept + e))
    assert model.gate is None and not model.routers
    assert parameters(model) == parameters(build("looped", SMALL, VOCABULARY, 10))


def test_ordinary_heads_see_the_whole_row_and_where_it_stands():
    """One Block, whose last place tells which tokens stand before it, and in which order; with the RDT's global heads
    it does not tell their order, and with its local ones not the tokens."""
    row, other, turned = torch.tensor([[1, 2, 3, 4, 5, 6], [7, 2, 3, 4, 5, 6], [2, 1, 3, 4, 5, 6]])

    def tells(model):
        last = shaken(model).eval()(torch.stack([row, other, turned]))[0, :, -1]
        return [not torch.allclose(last[0], last[i], atol=1e-6) for i in (1, 2)]

    one = replace(SMALL, recurrent_blocks=1, prelude_blocks=0, coda_blocks=0, window=3)
    rope = build("transformer_rope", one, VOCABULARY, 1)
    assert len(rope.blocks) == 2 and not rope.routers
    rope.blocks = rope.blocks[:1]
    assert tells(rope) == [True, True]
    assert tells(build("transformer", replace(one, local_heads=0), VOCABULARY, 1)) == [True, False]
    assert tells(build("transformer", replace(one, local_heads=4), VOCABULARY, 1)) == [False, False]


@pytest.mark.parametrize(("name", "kind"), [("transformer", Transformer), ("gru", GRU)])
def test_baselines_have_no_loops_to_count(name, kind):
    model = build(name, SMALL, VOCABULARY, 10)
    assert isinstance(model, kind) and model(some_tokens()).shape == (1, 3, 7, VOCABULARY)
    with pytest.raises(ConfigError, match="does not loop"):
        model(some_tokens(), (1, 2))


def test_the_gru_is_its_equations_a_step_a_token():
    model = build("gru", SMALL, VOCABULARY, 10).double().eval()
    net, tokens = model.recurrent, some_tokens(1)
    x = model.embed(tokens)[0]
    for layer in ("l0", "l1"):
        (w, u, b, c) = (getattr(net, f"{kind}_{layer}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        h, made = torch.zeros(net.hidden_size, dtype=x.dtype), []
        for at in x:
            (r, z, n), (hr, hz, hn) = (w @ at + b).chunk(3), (u @ h + c).chunk(3)
            forget, keep = torch.sigmoid(r + hr), torch.sigmoid(z + hz)
            h = (1 - keep) * torch.tanh(n + forget * hn) + keep * h
            made.append(h)
        x = torch.stack(made)
    logits = model.head(model.output_norm(model.narrow(x)))
    assert torch.allclose(model(tokens)[0, 0], logits, atol=1e-9)


def trace(name, config):
    """What tells two models apart: their weights' shapes, what they make in training, and how they are balanced."""
    torch.manual_seed(0)
    model = build(name, config, VOCABULARY, 10)
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    outputs = shaken(model).training_outputs(some_tokens(8), [9, 9, 9, 8, 8, 7, 6, 6], 5)
    rates = [router.rate for router in getattr(model, "routers", ())]
    return shapes, [x.tolist() for x in outputs.answers], rates


def test_the_gru_has_the_size_of_an_rdt_with_its_local_heads():
    assert len({parameters(build("gru", ModelConfig(local_heads=heads), 20, 10)) for heads in (0, 4)}) == 2
    assert "local_heads" not in UNREAD["gru"]


@pytest.mark.parametrize("name", UNREAD)
def test_a_model_reads_all_but_what_is_said(name):
    config = replace(SMALL, prelude_window=2, adapter_loops=2)
    values = {
        "width": 64,
        "rope_width": 2,
        "head_width": 10,
        "heads": 2,
        "memory": 0.9,
        "noise": 0.5,
        "late": 0.5,
        "global_drop": 0.25,
    }
    unread, matched, before = set(), set(), trace(name, config)
    for field in fields(ModelConfig):
        value = values.get(field.name) or ModelConfig.PARTS.get(field.name, (None,))[-1]
        held = getattr(config, field.name)
        value = ModelConfig.PARTS[field.name][0] if value == held else value or held + 1
        changed = replace(config, **{field.name: value})
        if trace(name, changed) == before:
            unread.add(field.name)
        if parameters(RDT(config, VOCABULARY)) != parameters(RDT(changed, VOCABULARY)):
            matched.add(field.name)  # which may, by a hair, leave as many of its own
    rest = unread - set(UNREAD[name])
    assert set(UNREAD[name]) <= unread and rest <= (matched if name in MATCHED else set())


@pytest.mark.parametrize(
    "field,value,says",
    [
        ("width", 30, "width 30 is not a multiple of heads 4"),
        ("local_heads", 5, "local_heads is 5"),
        ("rope_width", 3, "rope_width is 3"),
        ("active_experts", 9, "active_experts is 9"),
        ("injection", "ltl", "did you mean 'lti'"),
        ("experts", 0, "experts is 0"),
        ("global_drop", 1.0, "global_drop is 1.0"),
        ("memory", 1.0, "memory is 1.0: allowed is above 0, up to 0.99"),
        ("memory", 0.0, "memory is 0.0"),
        ("memory", float("nan"), "memory is nan"),
        ("noise", 1.5, "noise is 1.5: allowed is 0 to 1"),
        ("noise", float("nan"), "noise is nan"),
        ("balance_rate", float("nan"), "balance_rate is nan"),
    ],
)
def test_what_cannot_be_built_is_named(field, value, says):
    with pytest.raises(ConfigError, match=says):
        replace(SMALL, **{field: value})


@pytest.mark.parametrize("odd", [{"attention": "full", "head_width": 7}, {"loop_signal": "sinusoidal", "width": 33}])
def test_what_turns_in_pairs_is_of_even_width(odd):
    with pytest.raises(ConfigError, match="allowed are even numbers"):
        replace(SMALL, heads=3, local_heads=1, **{"width": 36, **odd})


# the whole model, beyond its sizes


def test_without_a_transformer_term_the_trajectory_is_the_closed_form():
    model = RDT(SMALL, VOCABULARY).double().eval()  # a new model's Blocks add nothing
    model.inject.a.data.uniform_(-2, 2)
    tokens = some_tokens()
    e, a = model.encode(tokens), model.inject.decay()
    for t, h in enumerate(islice(model.trajectory(tokens), 12)):
        assert torch.allclose(h, (1 - a**t) / (1 - a) * model.inject.b * e, atol=1e-12)


@pytest.mark.parametrize("loops", [1_000, pytest.param(10_000, marks=pytest.mark.soak)])
def test_state_is_bounded_over_thousands_of_loops(loops):
    model, tokens = rdt(), some_tokens(1, 3)
    with torch.no_grad():
        sizes = [h.abs().max() for h in islice(model.trajectory(tokens), 0, loops + 1, loops // 20)]
        assert torch.stack(sizes).isfinite().all() and max(sizes[1:]) < 4 * sizes[1]
        assert model(tokens, (0, 1, loops // 10)).isfinite().all()


def test_rows_none_and_longer_than_any():
    model = rdt()
    with torch.no_grad():
        assert model(some_tokens(0, 5), (2,)).shape == (1, 0, 5, VOCABULARY)
        assert model(some_tokens(1, 700), (2,)).isfinite().all()


@pytest.mark.parametrize("token", [-1, VOCABULARY])
def test_tokens_out_of_vocabulary_are_named(token):
    tokens = some_tokens()
    tokens[1, 2] = token
    for model in (rdt(), Transformer(SMALL, VOCABULARY, 1)):
        with pytest.raises(ConfigError, match=rf"{token}: this model's are 0 to {VOCABULARY - 1}"):
            model(tokens, (1,) if model.looped else None)


HORIZONS = [7, 5, 5, 2, 1]


def training_loss(model, tokens):
    outputs = model.training_outputs(tokens, HORIZONS, 3)
    logits = [*outputs.answers, *outputs.probes]
    return sum(F.cross_entropy(x.flatten(0, 1).float(), tokens.flatten()) for x in logits) + outputs.penalty


@pytest.mark.parametrize("halting", ["act", "graves", "none"])
def test_a_training_step_stays_on_its_device_and_never_waits_for_it(halting):
    """On the meta device there is nothing to wait for: whatever asks for a number raises."""
    with torch.device("meta"):
        model = RDT(replace(SMALL, halting=halting), VOCABULARY).train()
        loss = training_loss(model, torch.zeros(5, 6, dtype=torch.long))
        loss.backward()
        model.after_step()
    assert loss.device.type == "meta"
    assert all(p.grad is None or p.grad.device.type == "meta" for p in model.parameters())


def test_noise_is_a_share_of_each_state_in_training_alone():
    h = torch.randn(40, 50, 64) * torch.logspace(-3, 3, 40)[:, None, None]
    share = (noisy(h, 0.3) - h).norm(dim=-1) / h.norm(dim=-1)
    assert abs(share.mean() - 0.3) < 0.01 and share.min() > 0.15
    assert torch.equal(noisy(torch.zeros(2, 3, 4), 0.3), torch.zeros(2, 3, 4))
    model, tokens = rdt(global_drop=0.0, noise=0.3), some_tokens(5, 6)
    assert torch.equal(model(tokens, (4,)), model(tokens, (4,)))
    one, other = (model.training_outputs(tokens, [4] * 5, 2).answers[0] for _ in range(2))
    assert not torch.equal(one, other)
    first = [model.training_outputs(tokens, [1] * 5, 1).answers[0] for _ in range(2)]
    assert torch.equal(*first), "the first state is nothing, and no noise is a share of it"
    quiet = rdt(global_drop=0.0, noise=0.0)
    assert torch.equal(*(quiet.training_outputs(tokens, [4] * 5, 2).answers[0] for _ in range(2)))


def test_late_starters_begin_with_the_gradient_and_the_others_before():
    """Against the loop written out: from a random place on, a row's states are h_0 again when the gradient begins."""
    model, tokens = rdt(global_drop=0.0, late=1.0), some_tokens(40, 9)
    torch.manual_seed(1)
    answers = model.training_outputs(tokens, [7] * 40, 3).answers[0]
    torch.manual_seed(1)
    torch.rand(40, SMALL.heads - SMALL.local_heads)  # the heads that are dropped
    late = late_starters(torch.empty(40, 9, 1), 1.0)
    assert late[:, -1].all() and 0 < late[:, 0].sum() < 20, "a place is any, and all behind it are late"
    assert (late[:, 1:] >= late[:, :-1]).all()
    e = model.encode(tokens)
    h = torch.zeros_like(e)
    for loop in range(7):
        h = torch.where(late, 0.0, h) if loop == 4 else h
        h = model.step(h, e, loop)
    assert torch.allclose(answers, model.read(h), atol=1e-5)
    assert not torch.allclose(answers, model(tokens, (7,))[0], atol=1e-3)
    some = late_starters(torch.empty(4000, 9, 1), 0.25)[:, -1].float().mean()
    assert abs(some - 0.25) < 0.03
    alike = model.training_outputs(tokens, [3] * 40, 3).answers[0]
    assert torch.allclose(alike, model(tokens, (3,))[0], atol=1e-5), "where the gradient begins with the row, nobody is"


@pytest.mark.parametrize("window,far", [(0, 1), (5, 4)])
def test_blocks_before_the_loop_may_see_further_than_it_does(window, far):
    """With local heads alone, e moves where a token `far` places back does, and a loop carries it one place on."""
    few = {"local_heads": 4, "window": 2, "prelude_window": window, "coda_blocks": 0}
    model, tokens = rdt(**few), some_tokens(1, 9)
    other = tokens.clone()
    other[0, 0] = (tokens[0, 0] + 1) % VOCABULARY
    with torch.no_grad():
        e, changed = model.encode(tokens), model.encode(other)
        assert (e != changed).any(-1)[0].tolist() == [place <= far for place in range(9)]
        h, moved = (model.step(torch.zeros_like(x), x, 0) for x in (e, changed))
        assert (h != moved).any(-1)[0].tolist() == [place <= far + 1 for place in range(9)]
        baseline = shaken(Transformer(replace(SMALL, **few), VOCABULARY, 2)).eval()
        seen = (baseline.read(tokens) != baseline.read(other)).any(-1)[0]
    assert seen.tolist() == [place <= far + 1 for place in range(9)], "a baseline's first Block sees as far"


def test_bfloat16_is_close_to_float32():
    model, tokens = rdt(global_drop=0.0).train(), some_tokens(5, 6)
    exact = training_loss(model, tokens)
    with torch.autocast("cpu", torch.bfloat16):
        rough = training_loss(model, tokens)
    assert rough.dtype == torch.float32 and not torch.equal(rough, exact)
    assert abs(rough / exact - 1) < 0.02


def test_gradients_under_bfloat16_are_those_of_float32():
    """Of every weight, those of the recurrent Block too, which loops without gradient have used before."""
    model, tokens = rdt(global_drop=0.0).train(), some_tokens(5, 6)
    found = []
    for enabled in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = training_loss(model, tokens)
        loss.backward()
        found.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    exact, rough = found
    assert exact.keys() == rough.keys()
    for name, grad in exact.items():
        assert (rough[name] - grad).norm() <= 0.25 * grad.norm() + 1e-6, name


def test_a_router_keeps_float32_under_autocast_and_learns_with_one_expert_active():
    torch.manual_seed(0)
    router, x = Router(8, 4, 1, 0.01), torch.randn(16, 8)
    chosen, weights = router(x)
    with torch.autocast("cpu", torch.bfloat16):
        again, rough = router(x)
    assert torch.equal(chosen, again) and torch.equal(weights, rough) and rough.dtype == torch.float32
    weights.sum().backward()
    assert router.score.weight.grad.norm() > 0.1
    assert torch.allclose(Router(8, 4, 2, 0.01)(x)[1].sum(-1), torch.ones(16))


def test_a_training_step_makes_one_tensor_of_its_horizons_and_none_a_loop(monkeypatch):
    """A list that is sent to a GPU is waited for."""
    made, real = [], torch.tensor
    monkeypatch.setattr(torch, "tensor", lambda *what, **how: made.append(what) or real(*what, **how))
    for changes in ({}, {"loop_signal": "sinusoidal"}, {"adapters": "none", "adapter_past": "cycle"}):
        model = rdt(**changes).train()
        made.clear()
        model.training_outputs(some_tokens(5, 6), [9, 8, 5, 3, 2], 3)
        assert len(made) == 1, changes


def test_rows_that_share_all_weights_of_a_loop_are_told_one_number():
    config = replace(SMALL, adapters="none", adapter_past="cycle")
    assert shared_loop([0, 1, 2], config) == 0 and shared_loop([0, 1], replace(config, adapters="lora")) is None


# weights on disk


def test_weights_are_loaded_or_refused_by_name(tmp_path):
    model, other = rdt(), rdt(expert_width=8)
    path = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), path)
    again = RDT(SMALL, VOCABULARY).eval()
    load_weights(again, path)
    tokens = some_tokens()
    assert torch.equal(again(tokens, (3,)), model(tokens, (3,)))
    with pytest.raises(ConfigError, match=r"feed_forward.*in the file, .* in this model"):
        load_weights(other, path)
    with pytest.raises(ConfigError, match=r"gate\..* is \(.*in the file, missing in this model"):
        load_weights(rdt(halting="none"), path)
    whole = path.read_bytes()
    for name, content in {"cut": whole[:-100], "pickle": None, "empty": b""}.items():
        bad = tmp_path / name
        if content is None:
            torch.save(model.state_dict(), bad)
        else:
            bad.write_bytes(content)
        with pytest.raises(ConfigError, match="no whole safetensors file"):
            load_weights(again, bad)
    with pytest.raises(ConfigError, match="no weights file"):
        load_weights(again, tmp_path / "missing")


@pytest.mark.parametrize("name", ["transformer", "transformer_deep", "looped", "rdt"])
def test_where_no_global_head_is_dropped_training_answers_as_inference_does(name):
    """The same model in both, and another one where each of its heads is dropped in half of the rows."""
    kept, dropping = (
        shaken(build(name, replace(SMALL, global_drop=drop, halting="none"), VOCABULARY, 4)).eval()
        for drop in (0.0, 0.5)
    )
    tokens, looped = some_tokens(24), getattr(kept, "looped", True)
    answers = kept.training_outputs(tokens, [5] * 24, 2).answers[0]
    assert torch.allclose(answers, kept(tokens, (5,) if looped else None)[0], atol=1e-5)
    whole = dropping(tokens, (5,) if looped else None)[0]
    rows = (dropping.training_outputs(tokens, [5] * 24, 2).answers[0] - whole).abs().amax((1, 2)) < 1e-5
    heads = dropping.config.heads - dropping.config.local_heads
    assert heads > 0 and rows.float().mean() < 0.5**heads + 0.3 and not rows.all()


def test_dropped_heads_stay_dropped_in_the_coda(monkeypatch):
    """Of each row the same ones in every Block that it passes."""
    model, seen = rdt(global_drop=0.5).train(), []
    for part in (*model.prelude, *model.recurrent, *model.coda):
        part.register_forward_pre_hook(lambda _, given: seen.append(given[2]))
    model.training_outputs(some_tokens(6), [3] * 6, 2)
    first, *_, last = seen
    assert first.shape[0] == 6 and 0 < first.mean() < 1
    assert torch.equal(last, first.repeat(2, 1)), "the answer's and the halted answer's rows"
    assert all(torch.equal(keep, first) for keep in seen[:-1])
