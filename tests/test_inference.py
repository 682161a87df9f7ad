"""Attention with a cache, generation, stopping rules and loops over what still moves, against the slow full forward."""

import itertools
import math
import weakref
from functools import partial

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from evaluate.run.extrapolation import rdt_answers
from model import RDT, ConfigError, ModelConfig
from model.adapters import Projection
from model.attention import FullAttention, LatentAttention, Places, rotate
from model.generate import Decoder, generate
from model.settling import settle, spread
from model.stopping import CYCLE, PATIENCE, Act, Converged, Settled, rules
from tests.small import SMALL, VOCABULARY, rdt, some_tokens

KINDS = ["latent", "full"]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


# attention


def plain_attention(attention, x):
    """MLA from the paper's equations with every key and value expanded: heads, positions and pairs one by one."""
    c = attention.config
    weight = attention.read.weight
    sizes = [c.heads * c.head_width, c.local_heads * c.rope_width, c.latent, c.rope_width]
    to_q, to_q_rope, to_latent, to_k_rope = weight.split(sizes)
    out = []
    for row in x:
        latent = attention.normalise(row @ to_latent.T)
        k_rope = rotate(row @ to_k_rope.T)  # one for all heads, rotated once
        heads = []
        for head in range(c.heads):
            its = slice(head * c.head_width, (head + 1) * c.head_width)
            up = attention.expand.weight.view(c.heads, 2, c.head_width, c.latent)[head]
            q, k, v = row @ to_q[its].T, latent @ up[0].T, latent @ up[1].T
            local = head < c.local_heads
            if local:
                q_rope = rotate(row @ to_q_rope[head * c.rope_width : (head + 1) * c.rope_width].T)
            read = []
            for i in range(len(row)):
                first = max(0, i - c.window + 1) if local else 0
                scores = torch.stack(
                    [
                        (q[i] @ k[j] + (q_rope[i] @ k_rope[j] if local else 0.0))
                        / (c.head_width + (c.rope_width if local else 0)) ** 0.5
                        for j in range(first, i + 1)
                    ]
                )
                read.append(scores.softmax(0) @ v[first : i + 1])
            heads.append(torch.stack(read))
        out.append(torch.cat(heads, dim=-1) @ attention.write.weight.T)
    return torch.stack(out)


@pytest.mark.parametrize("local", [0, 2, 4])
def test_latent_attention_is_attention_with_the_latents_expanded(local):
    config = ModelConfig(width=32, head_width=8, latent=16, rope_width=4, local_heads=local)
    attention = LatentAttention(config, Projection).double()
    x = torch.randn(2, 7, 32, dtype=torch.double)
    assert torch.allclose(attention(x), plain_attention(attention, x), atol=1e-12)


def all_of(batch, length):
    return Places.where(torch.ones(batch, length, dtype=torch.bool))


@pytest.mark.parametrize("kind,local,loop", list(itertools.product(KINDS, [0, 2, 4], [None, 0, 9])))
def test_attention_from_a_cache_is_the_full_one(kind, local, loop):
    block = rdt(attention=kind, local_heads=local).double().recurrent[0]
    x = torch.randn(3, 9, SMALL.width, dtype=torch.double)
    full = block(x, loop)
    at_once = block.attend(x.flatten(0, 1), all_of(3, 9), block.attention.cache(3, 9), loop)
    assert torch.allclose(at_once.view(3, 9, -1), full, atol=1e-12)
    cache = block.attention.cache(3, 9)
    column = torch.arange(9).expand(3, 9)
    for i in range(9):  # one at a time, as in generation
        assert torch.allclose(block.attend(x[:, i], Places.where(column == i), cache, loop), full[:, i], atol=1e-12)


@pytest.mark.parametrize(
    "change", [{}, {"attention": "full"}, {"coda_blocks": 2}, {"coda_blocks": 0}, {"local_heads": 4}]
)
def test_reading_asked_places_is_reading_all(change):
    model, tokens = rdt(**change).double(), some_tokens(4, 11)
    asked = torch.zeros(4, 11, dtype=torch.bool)
    asked[0, 10] = asked[1] = asked[3, [0, 5]] = True
    full = model(tokens, (0, 1, 5))
    assert full[1, asked].std(0).min() > 0.1
    assert torch.allclose(model(tokens, (0, 1, 5), Places.where(asked)), full[:, asked], atol=1e-12)


def test_rows_with_many_places_and_with_none():
    block = rdt().double().recurrent[0]
    x = torch.randn(4, 40, SMALL.width, dtype=torch.double)
    cache = block.attention.cache(4, 40)
    full = block(x)
    block.attend(x.flatten(0, 1), all_of(4, 40), cache)
    wanted = torch.zeros(4, 40, dtype=torch.bool)
    wanted[0, 3:38] = wanted[2, 5] = wanted[3, ::3] = True
    assert torch.allclose(block.attend(x[wanted], Places.where(wanted), cache), full[wanted], atol=1e-12)


def test_the_cache_holds_a_latent_and_one_rotary_key():
    assert LatentAttention(SMALL, Projection).cache(2, 10).shape == (2, 10, 1, SMALL.latent + SMALL.rope_width)
    big = ModelConfig(width=5120, heads=128, head_width=128, local_heads=64, latent=512, rope_width=64)  # DeepSeek-V2's
    with torch.device("meta"):
        latent, full = (kind(big, Projection).cache(1, 100).nbytes for kind in (LatentAttention, FullAttention))
    assert latent == 100 * (512 + 64) * 4 and full == 100 * 2 * 128 * 128 * 4
    assert full / latent >= 10


# generation


def slow(model, row, loops, halting):
    """The likeliest next token by the full forward over the whole row."""
    if not halting:
        return model(row[None], (loops,))[0, 0, -1].argmax()
    with torch.no_grad():
        states = itertools.islice(model.trajectory(row[None]), loops + 1)
        rule = Act(model, next(states), all_of(1, len(row)))
        for h in states:
            rule.see(h)
        return rule.logits()[-1].argmax()


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"attention": "full"},
        {"halting": "graves"},
        {"loop_signal": "sinusoidal", "halting": "none"},
        {"recurrent_blocks": 2, "adapter_past": "cycle"},
        {"injection": "none", "adapters": "none"},
    ],
)
def test_generation_is_the_full_forward_at_every_token(change):
    model = rdt(**change).double()
    prompts = [torch.randint(VOCABULARY, (length,)) for length in (1, 4, 9)]
    for loops, halting in itertools.product((0, 1, 3, 8), {False, model.gate is not None}):
        made = generate(model, prompts, 5, loops, halting=halting)
        for prompt, tokens in zip(prompts, made, strict=True):
            row = prompt
            for token in tokens:
                assert token == slow(model, row, loops, halting), (loops, halting)
                row = torch.cat([row, token[None]])


def test_cached_logits_are_the_full_ones_and_shared_slots_are_not():
    model = rdt().double()
    tokens = some_tokens(2, 12)
    full = model(tokens, (6,))[0]
    column = torch.arange(12).expand(2, 12)

    def last(slots):
        decoder = Decoder(model, 2, 12, 6, slots)
        decoder.feed(tokens[:, :8].flatten(), Places.where(column < 8))
        return torch.stack([decoder.feed(tokens[:, i], Places.where(column == i)) for i in range(8, 12)], 1), decoder

    (exact, big), (shared, small) = last(None), last(2)
    assert torch.allclose(exact, full[:, 8:], atol=1e-5)
    assert not torch.allclose(shared, full[:, 8:], atol=1e-3)  # an approximation, and said to be one
    assert big.bytes == 2 * small.bytes  # prelude and coda, and 6 or 2 slots


def test_nothing_to_generate_is_refused_or_empty():
    model = rdt(halting="none")
    assert generate(model, [torch.tensor([1, 2])], 0, 2).shape == (1, 0)
    for prompts, changes in (
        ([], {}),
        ([torch.tensor([], dtype=torch.long)], {}),
        ([torch.tensor([1])], {"halting": True}),
        ([torch.tensor([1])], {"slots": 0}),
    ):
        with pytest.raises(ConfigError, match=r"allowed|no gate"):
            generate(model, prompts, 1, 2, **changes)
    with pytest.raises(ConfigError, match="-1"):
        generate(model, [torch.tensor([1])], 1, -1)


# stopping rules


def everywhere(batch, length):
    return torch.ones(batch, length, dtype=torch.bool)


def stopped(rule, states):
    for h in states:
        rule.see(h)
    return rule


def test_settled_waits_for_everything_before():
    """Four positions: one still from the start, one that moves late, one behind it that is still, one that swings."""
    model = rdt()
    still = torch.randn(4, SMALL.width)

    def state(t):
        h = still.clone()
        h[1] = h[1].roll(min(t, 10))
        h[3] *= (1, 2, 4)[t % 3]  # a cycle of three, all of which must be remembered
        return h[None]

    rule = stopped(Settled(model, state(0), all_of(1, 4), everywhere(1, 4)), [state(t) for t in range(1, 40)])
    assert rule.used().tolist() == [PATIENCE, 10 + PATIENCE, 10 + PATIENCE, 10 + PATIENCE]
    assert torch.equal(rule.h[0, 1], state(39)[0, 1])
    assert torch.equal(rule.h[0, 0], still[0])
    # a cycle longer than it looks back is movement for ever
    swings = [state(0) * (1 + t % (CYCLE + 2)) for t in range(1, 60)]
    long = stopped(Settled(model, state(0), all_of(1, 4), everywhere(1, 4)), swings)
    assert (long.used() == 59).all()


def test_settled_waits_for_nothing_before_the_first_that_training_asks():
    """Four positions: one that never rests and stands before what is asked, an asked one, one that is not asked and
    moves late, as a wave on its way does, and an asked one behind it."""
    still = torch.randn(4, SMALL.width)

    def state(t):
        h = still.clone()
        h[0] *= 2.0**t
        h[2] = h[2].roll(min(t, 10))
        return h[None]

    asked = torch.tensor([[False, True, False, True]])
    rule = stopped(Settled(rdt(), state(0), all_of(1, 4), asked), [state(t) for t in range(1, 40)])
    assert rule.used().tolist() == [39, PATIENCE, 10 + PATIENCE, 10 + PATIENCE]
    rule = stopped(Settled(rdt(), state(0), all_of(1, 4), everywhere(1, 4)), [state(t) for t in range(1, 40)])
    assert rule.used().tolist() == [39, 39, 39, 39]


def test_settled_reads_nothing_behind():
    model, later = rdt(), some_tokens(1, 9)
    changed = later.clone()
    changed[0, 6:] = (changed[0, 6:] + 1) % VOCABULARY
    with torch.no_grad():
        used = []
        for tokens in (later, changed):
            states = itertools.islice(model.trajectory(tokens), 31)
            used.append(stopped(Settled(model, next(states), all_of(1, 9), everywhere(1, 9)), states).used())
    assert torch.equal(used[0][:6], used[1][:6])


def test_converged_is_still_and_sure_twice_in_a_row():
    """Read through a model whose state is its logits: unsure and still, sure and moving, sure and still."""

    class Mirror:
        def read(self, h, places):
            return places.of(h)

    unsure, a, b = torch.zeros(5), F.one_hot(torch.tensor(1), 5) * 20.0, F.one_hot(torch.tensor(2), 5) * 20.0
    plans = [[unsure] * 12, [a, b] * 6, [unsure] * 4 + [a] * 8]
    states = [torch.stack(now)[None] for now in zip(*plans, strict=True)]
    with torch.no_grad():
        rule = stopped(Converged(Mirror(), states[0], all_of(1, 3), everywhere(1, 3)), states[1:])
    assert rule.used().tolist() == [11, 11, 6]  # the third: sure from loop 4 on, still at 5 and 6
    assert rule.logits()[2].argmax() == 1


def test_a_position_that_stopped_stays_what_it_was():
    model = rdt()
    with torch.no_grad():
        states = list(itertools.islice(model.trajectory(some_tokens(2, 6)), 61))
        given = (model, states[0], all_of(2, 6), everywhere(2, 6))
        early = {name: stopped(rule, states[1:41]) for name, rule in rules(*given).items()}
        late = {name: stopped(rule, states[1:]) for name, rule in rules(*given).items()}
    assert set(early) == {"act", "converged", "settled"}
    for name in early:
        done = early[name].used() < 40
        assert torch.equal(early[name].used()[done], late[name].used()[done]), name
        assert (late[name].used() >= early[name].used()).all()


@pytest.mark.parametrize("name", ["converged", "settled"])
def test_who_stopped_goes_on_answering_what_it_answered_then(name):
    """After each place has stopped, states are changed beyond recognition: its answer is not."""
    model = calm(coda_blocks=0) if name == "settled" else calm()  # a Coda reads other positions too
    model.head.weight.data *= 4 if name == "settled" else 9
    with torch.no_grad():
        states = list(itertools.islice(model.trajectory(some_tokens(2, 6)), 61))
        rule = rules(model, states[0], all_of(2, 6), everywhere(2, 6))[name]
        stopped(rule, states[1:])
        done, answers = rule.used() < 60, rule.logits().clone()
        stopped(rule, [torch.randn_like(states[0]) * 9 for _ in range(5)])
    assert done.any()
    assert torch.equal(rule.logits()[done], answers[done])
    if name == "settled":
        for place in done.nonzero()[:, 0].tolist():
            h = states[int(rule.used()[place])]
            assert torch.allclose(rule.logits()[place], model.read(h, places=all_of(2, 6))[place], atol=1e-5)


@pytest.mark.parametrize("kl, entropy, stops", [(0.5e-3, 0.03, True), (2e-3, 0.03, False), (0.5e-3, 0.12, False)])
def test_converged_asks_for_a_thousandth_of_a_nat_and_for_less_than_a_tenth(kl, entropy, stops):
    """Two words: an answer of so much entropy, and others so far from it in turn."""

    class Mirror:
        def read(self, h, places):
            return places.of(h)

    def near(what, wanted, low, high):  # by halves: `what` rises from low to high
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if what(middle) < wanted else (low, middle)
        return low

    p = near(lambda p: float(-(p * math.log(p) + (1 - p) * math.log(1 - p))), entropy, 1e-6, 0.5)

    def apart(q):  # the larger of the two ways
        one, two = (torch.tensor([x, 1 - x], dtype=torch.double) for x in (p, q))
        return max(float((a * (a / b).log()).sum()) for a, b in ((one, two), (two, one)))

    q = near(apart, kl, p, 0.5)
    entropies = [float(-(x * math.log(x) + (1 - x) * math.log(1 - x))) for x in (p, q)]
    assert (max(entropies) < 0.1) == (entropy < 0.1)
    states = [torch.tensor([[[x, 1 - x]]]).log() for x in (p, q) * 6]
    with torch.no_grad():
        rule = stopped(Converged(Mirror(), states[0], all_of(1, 1), everywhere(1, 1)), states[1:])
    assert (rule.used().item() < 11) == stops


def test_rotary_positions_turn_pairs_by_falling_frequencies():
    """As complex numbers, from the paper's equation."""
    x = torch.randn(2, 11, 8, dtype=torch.double)
    pairs = torch.complex(x[..., :4], x[..., 4:])
    frequency = torch.tensor([10_000.0 ** (-2 * i / 8) for i in range(4)], dtype=torch.double)
    turned = pairs * torch.polar(torch.ones(11, 4, dtype=torch.double), torch.arange(11)[:, None] * frequency)
    assert torch.allclose(rotate(x), torch.cat([turned.real, turned.imag], dim=-1), atol=1e-5)


def test_a_rule_asked_at_some_places_says_what_it_says_there_when_asked_everywhere():
    model = calm().double()
    model.head.weight.data *= 4  # sure, here and there
    asked = torch.zeros(5, 8, dtype=torch.bool)
    asked[0, 7] = asked[1, ::3] = asked[4] = True
    places = Places.where(asked)
    with torch.no_grad():
        states = list(itertools.islice(model.trajectory(some_tokens(5, 8)), 31))
        some, every = (
            {name: stopped(rule, states[1:]) for name, rule in rules(model, states[0], at, everywhere(5, 8)).items()}
            for at in (places, all_of(5, 8))
        )
        for name in some:
            assert torch.equal(some[name].used(), every[name].used()[asked.flatten()]), name
            assert torch.allclose(some[name].logits(), every[name].logits()[asked.flatten()], atol=1e-12), name
        early = every["converged"].used() < 30
        assert early.any() and not early.all()


# loops over what still moves


def calm(**changes):
    """A model that comes to rest: what its loop adds is small beside what the injection holds it to."""
    model = rdt(**changes)
    for block in model.recurrent:
        block.attention.write.weight.data *= 0.3
        block.feed_forward.leave.weight.data *= 0.3
    return model


def test_spread_reaches_both_ways():
    active = torch.zeros(1, 8, dtype=torch.bool)
    active[0, 3] = True
    assert spread(active, 2).tolist() == [[False, True, True, True, True, True, False, False]]
    assert torch.equal(spread(active, 0), active)
    assert spread(torch.ones(2, 1, dtype=torch.bool), 2).all()


@pytest.mark.parametrize("change", [{}, {"attention": "full"}, {"recurrent_blocks": 2}, {"local_heads": 0}])
def test_settling_ends_where_the_full_loop_does(change):
    model, tokens = calm(**change), some_tokens(4, 20)
    found = settle(model, tokens, 200)
    with torch.no_grad():
        full = next(itertools.islice(model.trajectory(tokens), 200, None))
        again = model.step(found.h, model.encode(tokens), 200)
    assert (found.h - full).norm(dim=-1).max() < 0.2 * full.norm(dim=-1).min()
    assert (again - found.h).norm(dim=-1).max() < 0.1 * full.norm(dim=-1).min()  # the full loop leaves it in place
    assert found.updates < 40 * tokens.numel() and (found.loops < 60).all()
    with torch.no_grad():
        first, *later = itertools.islice(model.trajectory(tokens), 201)
        rule = stopped(Settled(model, first, all_of(4, 20), everywhere(4, 20)), later)
    later = found.loops.flatten() - rule.used()
    assert (later == 0).float().mean() > 0.7, "as `settled` counts, but who moves again starts anew"


def test_settling_stops_at_its_limit_and_at_nothing():
    model, tokens = calm(), some_tokens(2, 5)
    assert torch.equal(settle(model, tokens, 0).h, torch.zeros(2, 5, SMALL.width))
    with torch.no_grad():
        three = next(itertools.islice(model.trajectory(tokens), 3, None))
    assert torch.allclose(settle(model, tokens, 3).h, three, atol=1e-5)
    assert [int(settle(model, tokens, most).loops.max()) for most in (1, 2, 3)] == [1, 2, 3]


@pytest.mark.parametrize("change", [{"loop_signal": "sinusoidal"}, {"adapter_past": "cycle"}])
def test_loops_that_never_become_alike_cannot_settle(change):
    with pytest.raises(ConfigError, match="loop_signal"):
        settle(rdt(**change), some_tokens(), 10)


# memory


class Held(TorchDispatchMode):
    """The most bytes that were held at once by what was made under it."""

    def __init__(self):
        super().__init__()
        self.watched, self.now, self.most = {}, 0, 0

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        made = function(*arguments, **(named or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.watched:
                    self.now += storage.nbytes()
                    gone = partial(self.let_go, storage._cdata, storage.nbytes())
                    self.watched[storage._cdata] = weakref.ref(storage, gone)
        self.most = max(self.most, self.now)
        return made

    def let_go(self, key, size, _):
        del self.watched[key]
        self.now -= size


def most_held(work):
    with Held() as held:
        work()
    return held.most


def test_memory_of_a_training_step_does_not_grow_with_the_horizon_past_the_cut():
    net = RDT(SMALL, VOCABULARY).train()
    tokens = torch.randint(VOCABULARY, (4, 12))

    def step(horizon, gradient_loops):
        outputs = net.training_outputs(tokens, [horizon] * len(tokens), gradient_loops)
        sum(answer.sum() for answer in outputs.answers).backward()
        net.zero_grad(set_to_none=True)

    step(6, 2)  # what is made once is made
    short, long = (most_held(partial(step, horizon, 2)) for horizon in (6, 20))
    assert long < 1.02 * short
    assert most_held(partial(step, 20, 20)) > 3 * long  # where it is not cut, it does


@torch.no_grad()
def test_memory_of_evaluation_does_not_grow_with_loops():
    net, tokens = RDT(SMALL, VOCABULARY).eval(), torch.randint(VOCABULARY, (4, 12))
    places, every = Places.where(tokens == tokens), everywhere(4, 12)

    def ask(loops):
        for _ in rdt_answers(net, tokens, places, every, (1, loops)):
            pass

    ask(5)
    few, many = most_held(partial(ask, 9)), most_held(partial(ask, 36))
    assert many < 1.02 * few
