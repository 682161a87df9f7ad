"""The whole RDT: loops, halting, training, what it keeps on disk."""

from dataclasses import replace
from itertools import islice

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from model import MODELS, RDT, ConfigError, ModelConfig, Transformer, build, parameters
from model.adapters import shared_loop
from model.halting import Halting, SureGate
from model.moe import Router
from model.rdt import late_starters, noisy
from model.weights import load_weights
from tests.small import MATCHED, SMALL, VOCABULARY, rdt, shaken, some_tokens


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


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


def test_the_recurrence_of_the_gru_stays_float32_under_autocast():
    """On a GPU it would be in float16."""
    net, seen = build("gru", ModelConfig(), 9, 12.0), []
    net.recurrent.register_forward_hook(lambda *passed: seen.append(passed[2][0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(torch.zeros(2, 5, dtype=torch.long))
    assert seen == [torch.float32] and logits.dtype == torch.bfloat16


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
