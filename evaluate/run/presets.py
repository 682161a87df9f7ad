"""The presets: lists of Experiments, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from evaluate.run.experiment import Evaluate, Experiment, Train, as_named
from model import ModelConfig
from tasks import TASKS, Task

SMALL = ModelConfig(width=32, head_width=8, latent=16, rope_width=4, expert_width=16)
HEADLINE = ("khop_facts", "mod_chain")


def smoke() -> list[Experiment]:
    """everything once, small: learns nothing, takes seconds"""
    train = Train(steps=20, batch=16, warmup=5, shortest_horizon=2, longest_horizon=6, gradient_loops=2)
    evaluate = Evaluate(loops=(1, 2, 4, 8), count=16)
    tasks = (replace(TASKS[name](), test_depths=(10, 12)) for name in HEADLINE)  # type: ignore[call-arg]
    return [
        Experiment(task, model, architecture=SMALL, train=train, evaluate=evaluate)
        for task in tasks
        for model in ("rdt", "transformer", "transformer_deep")
    ]


def quick() -> list[Experiment]:
    """two tasks, six models, asked to depth 80: ten minutes"""
    longest_first = ("rdt", "transformer_deep", "looped", "looped_normed", "gru", "transformer_rope")
    return [
        Experiment(TASKS[task](), model, train=at_own_rates(Train(), task, model))  # type: ignore[call-arg]
        for model in longest_first
        for task in HEADLINE
    ]


class Recipe(NamedTuple):
    """How one task is trained and asked, for every model alike but for OWN_RATES and WITHOUT_NOISE."""

    train: Train = Train()
    architecture: ModelConfig = ModelConfig()
    evaluate: Evaluate = Evaluate()


LONGER = Train(steps=1200)
"""Accuracy on the trained depths is 100% long before; what falls on is the error a hop, which only depth shows. Chosen
after a look at depth 80 of one run of khop_facts with 750 steps (96.8%)."""

GENTLE = Train(learning_rate=2e-3, matrix_learning_rate=1e-2)
"""A third of the default rates. At those, the parity of ten bits is learnt and lost again, and a second look-up from
the same position takes twice as many steps: both want several loops to agree."""

PATIENT = replace(GENTLE, shortest_horizon=12, longest_horizon=30)
"""More loops than the longest trained row has steps, for every row. With fewer, a loop has to take several steps at
once, and what is learnt instead of one step ends with the trained length (selection bands: prefix_sum at 36 bits 100%
and 100%, against 70% and 67%; group_word at 32 letters, still seeing two before it, 99%, against 91% with 8 to 24
loops and 1,000 steps)."""

PROMPT = replace(GENTLE, batch=48, steps=1500)
"""Facts in the prompt. `batch` is the rows of a curriculum's first stage; later ones have as many tokens. Finding a
fact by its name is learnt from many rows a step, or hardly at all; perhaps as Muon steps as far along noise as along a
signal, which was not tested. Eight variables of 28 names, depth 1 alone, three Blocks without a loop, one and a half
times and twice these rates: with 64 rows at 72% and flat from step 300 to 900; with 256 rows at 99% from step 200 on;
with 64 rows and 8 names at 97% from there. khop_context: with 256 rows at first and fifty at the end all stages in 325
steps; with 32 and six the selection band came to 99.8% in the end too, and neither was right past six hops."""

AT_ONE_PLACE = replace(
    PROMPT, batch=300, shortest_horizon=4, longest_horizon=14, gradient_loops=4, decay=0.6,
    learning_rate=1e-3, matrix_learning_rate=5e-3, weight_decay=0.0,
)  # fmt: skip
"""A chain followed at one position, look-up upon look-up, one a loop. Some rows have as many loops as the deepest
trained question has steps, and gradient through all of them: with six at least and the last four, the first look-ups
have none, and are lost (the deepest trained depth: 73% when chains of five come in, 65% fifty steps later). Gradient
through more grows threefold with each. Low rates: at twice these single names are lost, and variables are not read at
all (eight of 28 names, two levels: at three and four times these, and gradient through six loops, flat for 300 steps;
at these 97% after 150). With ten loops at most, those after the twentieth drift off the end of the chain (trained
depths: 99% at 20 loops, 68% at 160)."""

SEES_ALL = ModelConfig(global_drop=0.0)
"""Global heads are dropped at random where the facts are in the weights. Where they stand in the prompt, they are
needed to find them."""

ALL_LOOPS_ALIKE = replace(SEES_ALL, coda_blocks=0, adapters="none", adapter_past="cycle", head_width=32, latent=64)
"""Where each step is a look-up, nothing but the loop takes one, and every loop is the same: a Coda would do the last of
those trained on; and with adapters held from the fourth loop on, the trained steps are taken by the first loops, each
by its own adapter, and those after them learn to wait. khop_context of 24 nodes, 600 steps, ten hops where three were
trained on: 2% with a Coda and adapters held, 27% without a Coda, 89% with adapters in turn, 95% without any. chain_end
of 25 nodes, 700 steps, eight steps where four were trained on: 55% held, 83% in turn, 87% without. Wider heads tell
fifty names apart by what is left of them: chain_end, ten steps, 9% with adapters in turn and the default heads, whose
state grows from step to step (an earlier graph, with one long chain), 82% so. Selection split; 80 loops for the first,
20 for the others. `adapter_past` says nothing where there are no adapters; it stays, as the records name it."""

FORGETFUL = replace(ALL_LOOPS_ALIKE, injection="normed", memory=0.4)
"""A walk at one position carries what it has left behind: with the plain injection and the default A the state grows in
each loop past the trained depth, attention loses its edge, and the walk ends (chain_end, selection split, trained to
four steps: on the right node after 5 steps 98%, after 8 43%, after 12 0%; with the A of that same model halved, after
12 97%). Training does not keep it from that, as no trained depth asks for it: from an A of 0.2 on it learns to grow all
the same, but at the lowest rates tried. Normed, a state weighs the same beside e in every loop, and less than e: at an
A of 0.9 beside a B of 0.5 the walk still ends (after 12 26%), at 0.4 beside 1 it goes on (after 275 steps of
training so, whole questions, 80 loops: 99.6% of eight steps, 97.6% of twelve, 94.5% of sixteen)."""

SEES_ONE = replace(FORGETFUL, window=2, global_drop=0.2, noise=0.3)
"""A hop sees itself and the hop before it. With three in sight, none of those trained on sees three hops before it and
no start, and the second hop beyond training is wrong (khop_context, selection band: 88% against 98%). Where now and
then a global head is missing, a hop has to make good what reaches it weakened, else each is weaker than the one before:
at 24 nodes, ten hops where three were trained on, 98% with and 89% without, adapters in turn (selection split). At 48
nodes that was not enough: 70% of eight hops, with adapters in turn and the default heads (a test depth). With the
recipe as it is but for noise, 2,400 steps, a record not kept: 100% to six hops, 98.4% of twelve, 87.5% of 24; another
220 steps from half the rates down again: all of 100 at 24 (selection split), with noise on the state and without."""

SEES_NEAR = ModelConfig(local_heads=4)
"""A head that sees all bits can count their ones against the mark before them, up to the lengths trained on."""

SEES_LAST = ModelConfig(local_heads=4, window=2)
"""Where a step needs the token before it alone, no head sees more. What lies two places back is combined too, rightly
as far as words were trained and wrongly beyond, and turns right answers wrong some loops later (group_word, selection
band, 32 letters: 98.0% with a window of three, 100.0% with two; 512 questions, the same 1,200 steps)."""

TO_160 = Evaluate(loops=(1, 2, 5, 10, 20, 40, 80, 160))
"""Enough for depths 24 and 40, and for four times the loops that they need."""

RECIPES: dict[str, Recipe] = {
    "khop_facts": Recipe(LONGER),
    "mod_chain": Recipe(LONGER),
    "prefix_sum": Recipe(replace(PATIENT, steps=400, batch=96, warmup=50), SEES_NEAR),
    "group_word": Recipe(replace(PATIENT, steps=1200), SEES_LAST),
    "carry_chain": Recipe(replace(PATIENT, batch=96), SEES_LAST, TO_160),
    "n_ary_addition": Recipe(
        replace(PATIENT, steps=1200, batch=96, shortest_horizon=14, longest_horizon=34), replace(SEES_NEAR, window=4)
    ),  # a digit, and the one of the number before; a number takes two steps where it carries
    "nested_expression": Recipe(
        replace(AT_ONE_PLACE, batch=400, steps=3000, shortest_horizon=6, longest_horizon=20),
        replace(FORGETFUL, window=4, noise=0.3),
        TO_160,
    ),  # an operator sees its two names and what ends before them
    "khop_context": Recipe(replace(AT_ONE_PLACE, batch=256, steps=1200), SEES_ONE, TO_160),
    "chain_end": Recipe(AT_ONE_PLACE, replace(FORGETFUL, late=0.5), TO_160),
    "reachability": Recipe(
        replace(AT_ONE_PLACE, shortest_horizon=5, gradient_loops=5), replace(FORGETFUL, late=0.5), TO_160
    ),  # t takes a loop more than s
    "tree_path": Recipe(replace(AT_ONE_PLACE, steps=1800, decay=0.8), FORGETFUL, TO_160),
    "relation_composition": Recipe(replace(AT_ONE_PLACE, batch=256, steps=2000), replace(SEES_ONE, window=4), TO_160),
    "variable_assignment": Recipe(
        replace(AT_ONE_PLACE, batch=256, steps=3600, shortest_horizon=5, longest_horizon=20),
        replace(FORGETFUL, memory=0.9, window=4, noise=0.3),
        TO_160,
    ),  # a definition's end sees all of it; what it has found is to be kept
    "p_hop_induction": Recipe(
        replace(AT_ONE_PLACE, batch=320, steps=3600, decay=0.5),
        replace(SEES_ONE, window=3, prelude_blocks=2, prelude_window=32),
        TO_160,
    ),  # the prelude finds where each place leads, among 16; a move sees the one before it
}
"""How each task is trained, whatever its curriculum. Chosen by selection bands, and by how soon training gets there;
what was chosen after a look at test depths is told in results/reference/recipes.md."""


MODELS_COMPARED = ("rdt", "looped", "looped_normed", "transformer", "transformer_deep", "transformer_rope", "gru")

RATES = A_TENTH, A_THIRD, DEFAULT, TRIPLE = ("0.003", "6e-4"), ("0.01", "2e-3"), ("0.03", "6e-3"), ("0.09", "18e-3")
"""Muon's and AdamW's learning rates that `rates` tries, as they stand in names of variants."""

OWN_RATES: dict[str, dict[str, tuple[str, str]]] = {
    "khop_facts": {"looped": A_THIRD, "transformer_deep": A_THIRD, "transformer_rope": A_THIRD, "gru": A_THIRD},
    "mod_chain": {
        "looped": A_THIRD, "transformer": A_THIRD, "transformer_deep": A_TENTH, "transformer_rope": A_TENTH,
        "gru": A_THIRD,
    },
    "prefix_sum": {"looped": DEFAULT, "transformer": A_TENTH, "transformer_rope": A_TENTH},
    "group_word": {"gru": DEFAULT, "transformer": TRIPLE},
    "carry_chain": {"transformer_rope": DEFAULT},
    "n_ary_addition": {"transformer": DEFAULT, "transformer_rope": TRIPLE, "looped_normed": DEFAULT},
}  # fmt: skip
"""Those of RATES, best on the selection band, that a model has in place of its task's recipe's; where it has 95% of the
trained band by some of them, the best of these. Of the other models the recipe's were the best, or no others were
tried: results/reference tells which."""


WITHOUT_NOISE = ("looped",)
"""Models whose state grows from loop to loop, and with it noise, a share of it. They are trained without."""


def recipe(task: str, model: str, seed: int = 0) -> Experiment:
    """The experiment of one task, at its default sizes, by its own recipe."""
    train, architecture, evaluate = RECIPES[task]
    train = at_own_rates(train, task, model)
    if model.partition("@")[0] in WITHOUT_NOISE:
        architecture = replace(architecture, noise=0.0)
    return Experiment(TASKS[task](), model, seed, architecture, train, evaluate)  # type: ignore[call-arg]


def at_own_rates(train: Train, task: str, model: str) -> Train:
    """The same training, by a model's own rates on a task where it has such."""
    base = model.partition("@")[0]
    if base not in OWN_RATES.get(task, {}):
        return train
    matrix, other = map(float, OWN_RATES[task][base])
    return replace(train, matrix_learning_rate=matrix, learning_rate=other)


def moved(e: Experiment, task: Task) -> Experiment:
    """The experiment on a task that its preset lacks: a model's own rates on the preset's task are not taken along."""
    train = e.train
    if e.base in OWN_RATES.get(e.task.name, {}):
        train = replace(train, matrix_learning_rate=Train.matrix_learning_rate, learning_rate=Train.learning_rate)
    return replace(e, task=task, train=at_own_rates(train, task.name, e.model))


FURTHER = ((10, 20, 40, 80, 160, 320, 500), Evaluate(loops=(1, 2, 5, 10, 20, 40, 80, 160, 320, 640, 1280)))
"""Test depths, and loops enough for them, of what `reference` asks further than a task's own default, the two headline
tasks: 100 times the deepest trained depth. To ask so far takes longer than to train."""


def reference() -> list[Experiment]:
    """every task by its own recipe, seven models: days"""
    return [
        asked_further(recipe(task, model, seed))
        for seed in range(5)
        for task in RECIPES
        if seed < 3 or task in HEADLINE
        for model in MODELS_COMPARED
    ]


def asked_further(e: Experiment) -> Experiment:
    if e.task.name not in HEADLINE:
        return e
    depths, asked = FURTHER
    return replace(e, task=replace(e.task, test_depths=depths), evaluate=asked)


UNSEEN: dict[str, tuple[int, ...]] = {
    "khop_facts": (15, 60, 240, 600),
    "mod_chain": (15, 60, 240, 600),
    "prefix_sum": (60, 120, 240),
    "group_word": (60, 120, 240),
    "carry_chain": (14, 30, 50),
    "n_ary_addition": (28, 40, 64),
    "nested_expression": (10, 14, 22),
    "khop_context": (7, 10, 20),
    "chain_end": (7, 10, 14),
    "reachability": (7, 10, 14),
    "tree_path": (7, 10, 14),
    "relation_composition": (7, 10, 20),
    "variable_assignment": (7, 10, 20),
    "p_hop_induction": (7, 10, 14),
}
"""Depths that no record of the RDT had been asked when these were written down, but for 10 of nested_expression, in an
earlier one's selection band. Where a task's sizes allow it, the deepest is beyond all that `reference` asks."""


def confirmation() -> list[Experiment]:
    """those recipes on other seeds, questions and depths

    `reference` once more, as it stands; khop_facts has other facts too. What is to be seen was written down before a
    run was made, in results/reference/recipes.md.
    """
    experiments = [recipe(task, model, seed) for seed in (5, 6, 7) for task in UNSEEN for model in MODELS_COMPARED]
    return [anew(asked_further(e)) for e in experiments]


def anew(e: Experiment) -> Experiment:
    task = replace(e.task, test_depths=UNSEEN[e.task.name])
    if task.name == "khop_facts":
        task = replace(task, facts_seed=1)  # type: ignore[call-arg]
    return replace(e, task=task, evaluate=replace(e.evaluate, seed=1))


ORDINARY_HEADS = "@attention=full@local_heads=4@window=500"
"""Heads of the usual kind: all see the whole row, and where its tokens stand, with keys and values of their own."""

ABLATED = (
    "rdt",
    "rdt@injection=unconstrained",  # A of any size
    "rdt@injection=additive",  # h + e: no A, no B
    "rdt@injection=normed",  # A RMSNorm(h) + B e
    "rdt@injection=normed_additive",  # RMSNorm(h) + e, as `looped_normed` has it
    "rdt@injection=none",  # e is seen once
    "rdt@feed_forward=dense",
    "rdt@attention=full",
    "rdt@adapters=none",
    "rdt@halting=none",
    "rdt@loop_signal=sinusoidal",
    "rdt@local_heads=0",  # nor any sign of where a token stands
    "rdt@window=200",  # local heads that see all of a row and where it stands
    "rdt@global_drop=0",
    "rdt@train.shortest_horizon=12@train.longest_horizon=12",
    "rdt@train.gradient_loops=18",  # through all of them
    "rdt@train.blank=0",
    "rdt@train.average=0",
    "rdt@train.optimizer=adamw",
    "rdt@injection=none@train.gradient_loops=18",  # or e, seen once, is not reached by the gradient
    "rdt@injection=additive@train.matrix_learning_rate=0.01@train.learning_rate=2e-3",  # `looped`'s rates
    "rdt@feed_forward=dense@adapters=none@halting=none",  # `looped`, with A and B
    "rdt@train.answers=deepest",  # one answer a row in these tasks, and so a fifth as many
    "rdt@train.answers=deepest@train.batch=640",  # and as many
    "looped_normed@train.answers=deepest@train.batch=640",
    "transformer_rope@train.answers=deepest@train.batch=640",
    f"looped_normed{ORDINARY_HEADS}",  # `transformer_rope`'s, in a loop
    f"looped_normed{ORDINARY_HEADS}@train.batch=512",  # and with as many tokens as in rows of one length
    "looped_normed@recurrent_blocks=3@train.shortest_horizon=2@train.longest_horizon=6@train.gradient_loops=2",
    "looped_normed@recurrent_blocks=6@train.shortest_horizon=1@train.longest_horizon=3@train.gradient_loops=1",
    "transformer_rope@train.blank=0",  # rows with a blank were made for models that loop
    "gru@train.blank=0",
    "gru@train.steps=6000",
)

AS_MANY_FLOPS = {
    "khop_facts": 3000, "mod_chain": 3000, "prefix_sum": 1300, "group_word": 3600, "carry_chain": 2400,
    "n_ary_addition": 4200, "khop_context": 2900,
}  # fmt: skip
"""Steps by which `transformer_rope` is trained with the FLOPs of the RDT, or up to a tenth more."""

HALF_AS_MANY_AGAIN = {"relation_composition": 3000, "tree_path": 2700}
"""Steps for the RDT, half as many again as by its recipe."""

RELIEVED = (
    ("prefix_sum", "transformer_deep@local_heads=2"),
    ("group_word", "transformer_deep@local_heads=2"),
    ("carry_chain", "transformer_deep@local_heads=2"),
    ("n_ary_addition", "transformer_deep@local_heads=2"),
    ("khop_context", "looped@noise=0.3"),
    ("reachability", "rdt@feed_forward=dense@halting=none"),  # `looped_normed`, with A and B
    ("tree_path", "rdt@feed_forward=dense@halting=none"),
    ("variable_assignment", "rdt@injection=normed_additive"),  # the RDT, with the injection of `looped_normed`
    ("variable_assignment", "rdt@memory=0.4"),  # and with the A of walks
    *((task, f"rdt@train.steps={steps}") for task, steps in HALF_AS_MANY_AGAIN.items()),
    *((task, f"transformer_deep{ORDINARY_HEADS}") for task in RECIPES if not RECIPES[task].architecture.prelude_window),
    *((task, f"looped_normed{ORDINARY_HEADS}") for task in ("khop_context", "carry_chain")),  # in rows of one length
    *((task, f"looped_normed{ORDINARY_HEADS}") for task in ("prefix_sum", "group_word", "n_ary_addition")),
    ("group_word", f"looped_normed{ORDINARY_HEADS}@train.batch=512"),
    *((task, f"transformer_rope@train.steps={steps}") for task, steps in AS_MANY_FLOPS.items()),
)
"""Models without what may hold them back alone: heads that see so few tokens that so many Blocks do not reach a long
row's beginning, or that do not know where those tokens stand; and, in `looped_normed`, RMSNorm(h) + e in the place of
A RMSNorm(h) + B e, which forgets more of where a walk has been; and the RDT without these A and B, or with a smaller A,
by which values fade that are handed on; and with more steps, where a seed's selection band was not yet all right, or
where a stack has fewer FLOPs by as many steps. And with it: noise, which grows with a state that grows from loop to
loop; and a stack's ordinary heads in a loop, one difference less between the two."""

LAST_ANSWERS = tuple(
    ("khop_context", f"{model}@train.answers=deepest") for model in ("rdt", "looped_normed", "transformer_rope")
)
"""Where facts stand in the prompt: a row of walks of three hops asks for the third of each."""


def ablation() -> list[Experiment]:
    """each part and habit of the RDT taken away alone, and of baselines what may hold them back"""
    asked = Evaluate(loops=(5, 10, 20, 40, 80, 160, 320, 640))
    experiments = [
        replace(recipe(task, model, seed), evaluate=asked)
        for seed in range(3)
        for model in ABLATED
        for task in HEADLINE
    ]
    parts = [replace(e, task=replace(e.task, test_depths=(10, 20, 40, 80, 160))) for e in experiments]
    others = [recipe(task, model, seed) for seed in range(3) for task, model in (*RELIEVED, *LAST_ANSWERS)]
    return [as_named(e) for e in (*parts, *others)]


RATED = (*HEADLINE, "prefix_sum", "group_word", "carry_chain", "n_ary_addition", "khop_context")
"""Tasks whose runs take minutes, and one of those whose facts stand in the prompt."""


def at_rates(model: str, matrix: str, other: str) -> str:
    return f"{model}@train.matrix_learning_rate={matrix}@train.learning_rate={other}"


def rates() -> list[Experiment]:
    """the same four learning rates for every model"""
    asked = Evaluate(loops=(20, 80))
    return [
        as_named(replace(recipe(task, at_rates(model, *rate)), evaluate=asked))
        for task in RATED
        for model in MODELS_COMPARED
        for rate in RATES
    ]


KNOWN_AGAIN = ModelConfig(
    width=128, head_width=32, latent=64, expert_width=128, local_heads=4, window=2,
    prelude_blocks=0, coda_blocks=0, adapters="none", head="tied",
)  # fmt: skip
"""Nothing stands between the embedding and the loop, or between the loop and the answer, and both are by the same
weights: so what a hop finds is, to the next, the word that it would have read in the prompt."""


def ltg() -> list[Experiment]:
    """the sizes of Loop, Think & Generalize (2604.07822)"""
    task = TASKS["khop_facts"](  # type: ignore[call-arg]
        train_depths=tuple(range(1, 13)), selection_depths=(14, 16), test_depths=(19, 24, 48, 96, 192),
        entities=200, relations=10, curriculum=(2, 4, 6, 9),
    )  # fmt: skip
    train = replace(
        GENTLE, steps=5000, batch=512, shortest_horizon=14, longest_horizon=30, decay=0.5, weight_decay=0.0, blank=0.0
    )
    asked = Evaluate(loops=(5, 10, 15, 20, 30, 40, 80, 160, 320, 640))
    return [Experiment(task, model, seed, KNOWN_AGAIN, train, asked) for seed in range(3) for model in MODELS_COMPARED]


IN_ONE_LENGTH: dict[str, dict[str, object]] = {
    "khop_facts": {"terms": 96}, "mod_chain": {"terms": 96}, "group_word": {"terms": 96, "test_depths": (40, 80)},
}  # fmt: skip
"""Tasks whose rows grow with depth, and can be had in rows of one length."""


UNROLLED = f"transformer_deep{ORDINARY_HEADS}@feed_forward=dense@stack_injection=normed_additive"
"""The passes that the loop with ordinary heads takes in the mean of training, each by weights of its own."""


def one_length() -> list[Experiment]:
    """tasks whose rows grow, in rows of one length, several chains in each

    As `reference` trains them, in rows of 96 tokens in place of 6 or 11, and 32 of these a step in place of 128. So a
    deeper question stands in no longer row, and no head sees a place that it was not trained at.
    """
    asked = Evaluate(loops=(5, 10, 20, 40, 80, 160, 320))
    stack = {task: f"transformer_rope@train.steps={AS_MANY_FLOPS[task]}" for task in IN_ONE_LENGTH}
    return [
        in_rows(recipe(task, model, seed), IN_ONE_LENGTH[task], 32, asked)
        for seed in range(3)
        for task in IN_ONE_LENGTH
        for model in (
            f"looped_normed{ORDINARY_HEADS}",
            stack[task],
            *([at_rates(stack[task], *DEFAULT)] if task in HEADLINE else []),  # the loop's rates there
            f"transformer_deep{ORDINARY_HEADS}",
            UNROLLED,
            "looped_normed",
            "rdt",
            "gru",
        )
    ]


def in_rows(e: Experiment, sizes: dict[str, object], batch: int, asked: Evaluate) -> Experiment:
    task = replace(e.task, **sizes)  # type: ignore[arg-type]
    return as_named(replace(e, task=task, train=replace(e.train, batch=batch), evaluate=asked))


def hundredfold() -> list[Experiment]:
    """khop_facts and mod_chain in rows of 512 tokens, which have room for 500 steps

    As `one_length`, with as many tokens a step: 6 rows. Asked 20 steps here, and 500, 100 times the trained, by `ask
    --depths 500`: that takes minutes a run.
    """
    asked = Evaluate(loops=(5, 10, 20, 40), count=64)
    return [
        in_rows(recipe(task, model, seed), {"terms": 512, "test_depths": (10, 20)}, 6, asked)
        for seed in range(3)
        for task in HEADLINE
        for model in (f"looped_normed{ORDINARY_HEADS}", f"transformer_rope@train.steps={AS_MANY_FLOPS[task]}", "rdt")
    ]


PRESETS: dict[str, Callable[[], list[Experiment]]] = {
    "smoke": smoke,
    "quick": quick,
    "reference": reference,
    "confirmation": confirmation,
    "ablation": ablation,
    "rates": rates,
    "ltg": ltg,
    "one_length": one_length,
    "hundredfold": hundredfold,
}
