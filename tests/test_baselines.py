"""The baselines are what they are said to be: their sizes, what they read of a configuration, how they see."""

from dataclasses import fields, replace

import pytest
import torch

from model import GRU, RDT, UNREAD, ConfigError, ModelConfig, Transformer, build, parameters
from tests.small import MATCHED, SMALL, VOCABULARY, shaken, some_tokens


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


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


def test_a_stack_that_reads_its_input_again_is_a_loop_whose_passes_have_weights_of_their_own():
    """With the loop's weights in each pass it answers as the loop does, and without the injection otherwise."""
    small = replace(SMALL, recurrent_blocks=2)
    loop = shaken(build("looped_normed", small, VOCABULARY, 5)).eval()
    plain, tokens = replace(small, feed_forward="dense"), some_tokens()
    for injection in ("normed_additive", "none"):
        stack = build("transformer_deep", replace(plain, stack_injection=injection), VOCABULARY, 5).eval()
        passes = [*loop.prelude, *(list(loop.recurrent) * 5), *loop.coda]
        for block, own in zip(stack.blocks, passes, strict=True):
            block.load_state_dict(own.state_dict())
        for part in ("embed", "input_norm", "output_norm", "head"):
            if hasattr(stack, part):
                getattr(stack, part).load_state_dict(getattr(loop, part).state_dict())
        answers = stack(tokens)[0], loop(tokens, (5,))[0]
        assert torch.allclose(*answers, atol=1e-5) == (injection == "normed_additive")


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
