"""The ledger of claims: verdicts from made-up records with a known truth, and the command from end to end."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluate import ledger
from evaluate.records import Diagnostics
from evaluate.run.presets import SMALL
from evaluate.run.train import step_flops
from evaluate.study.claims import carry, measures
from evaluate.study.claims.claims import CLAIMS
from evaluate.study.claims.designs import BUDGETS, DESIGNS, LOOPS, MOST, RECURRENCES
from evaluate.study.claims.evidence import Asked, Evidence, Found
from evaluate.study.claims.figures import of_sizes, ranked, wave
from evaluate.study.claims.written import KhopWritten
from evaluate.verdicts import INCONCLUSIVE, REFUTED, SUPPORTED, Measured, Part, combine, judge, share
from model import build
from tasks import NOT_ASKED, TRAIN, UserError, draw
from tests.fakes import dump, folder, lines, told

ROOT = Path(__file__).parent.parent

SEEDS = tuple(range(6))
COUNT = 96
DEPTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 30, 40)
SIZES = {"transformer": 196, "stack of 5": 306, "stack of 10": 610, "stack of 20": 1218, "no adapters": 186}
UNLOOPED = ("transformer", "stack of 5", "stack of 10", "stack of 20", "written")


def always(*_):
    return 1.0


def never(*_):
    return 0.1


def to(deepest):
    """Right up to a depth, and a guess beyond."""
    return lambda depth, how: 1.0 if depth <= deepest else 0.1


def slowly(hops):
    """So many hops a loop."""
    return lambda depth, how: 1.0 if depth <= hops * (how if isinstance(how, int) else MOST) else 0.1


def forgets(last):
    """Right at four loops to so many, and then no more."""
    return lambda depth, how: 1.0 if depth <= 20 and isinstance(how, int) and 4 <= how <= last else 0.1


def by_loops(right):
    """No loops answer nothing that needs more of them than half its depth: else one loop would be enough for all."""
    return lambda depth, how: 0.1 if isinstance(how, int) and 2 * how < depth else right(depth, how)


def answered(correct, used, flops):
    return Asked(correct, COUNT, used, flops, np.arange(COUNT) < correct)


def ran(design, right, **known):
    """A run of a design whose accuracy is right(depth, loops or rule)."""
    ways = [("none", None)] if design in UNLOOPED else [("fixed", n) for n in LOOPS] + [("act", None)]
    used = known.pop("used", lambda depth: depth + 2.0)
    right = by_loops(right)
    norm = known.pop("norm", 10.0)
    norms = [norm] * 16 + [norm * known.pop("grows", 1.0)] * 48
    inside = Diagnostics("r", 5, None, norms, [0.001] * 64)
    asked = {}
    for depth in DEPTHS:
        for halting, n in ways:
            how = n or halting
            mean = float(n or used(depth))
            asked[depth, halting, n] = answered(round(COUNT * right(depth, how)), mean, 100 * (n or 1))
    return Found(known.pop("status", "ok"), SIZES.get(design, 196), 1000, known.pop("steps", 10), asked, inside, known)


def world(number, designs, default=always):
    """Evidence for a claim: of each design an accuracy, or (accuracy, what else is known), or a list of these."""
    runs = {}
    for design in CLAIMS[number].designs:
        told = designs.get(design, default)
        for seed in SEEDS:
            one = told[seed % len(told)] if isinstance(told, list) else told
            right, known = one if isinstance(one, tuple) else (one, {})
            runs[design, seed] = ran(design, right, **known)
    return Evidence(SEEDS, runs)


def wrote(correct):
    return {"written": {"10": {"correct": correct, "count": COUNT, "flops": 500}}}


def read_by(first):
    """A probe's table whose hop k is read from loop first(k) on."""
    return [[1.0 if loop >= first(hop) else 0.1 for hop in range(1, 11)] for loop in range(1, 25)]


def losses(curve):
    return {"loss": {"loops": list(LOOPS), "loss": [curve(n) for n in LOOPS]}}


def bent(kind):
    """A loss by loops of the law of that name, with a little noise."""
    rng = np.random.default_rng(0)
    laws = {"exponential": lambda n: 0.1 + np.exp(-0.3 * n), "power": lambda n: 0.1 + n**-0.7}
    return lambda n: float(laws[kind](n) * (1 + 0.002 * rng.standard_normal()))


def rates(lti, free):
    """The rate designs: what is known of the LTI's and of the unconstrained runs, by their rate."""
    return {name: (always, (lti if name.startswith("lti") else free)(float(name.split()[-1][:-1])))
            for name in CLAIMS[7].designs}  # fmt: skip


def bowls(exponent):
    """Losses of the iso-FLOP runs whose best recurrence grows with the budget to this power, the best count of steps to
    1 - 0.55 times it."""
    rng, found = np.random.default_rng(0), {}
    for budget in BUDGETS:
        for loops in RECURRENCES:
            each = []
            for _ in SEEDS:
                off = np.log(loops / (2.5 * budget**exponent))
                loss = 0.3 + 0.1 * off**2 + 0.003 * rng.standard_normal()
                measured = {"loss": {"loops": [loops], "loss": [float(loss)]}}
                each.append((always, {"steps": 1000 * budget / loops**0.55, **measured}))
            found[f"budget {budget:g}, {loops} loops"] = each
    return found


calm, off = (lambda rate: {}), (lambda rate: {"status": "diverged"} if rate > 0.5 else {})
stacks = {name: to(5) for name in UNLOOPED[:4]}
same = read_by(lambda hop: hop)
use = {"routing": {"observed": 0.4, "shuffled": 0.01}}
wild = [always, never, always]

WORLDS = {
    1: (
        {**stacks},
        {**stacks, "stack of 10": to(20)},
        {**stacks, "rdt": wild},
    ),
    2: (
        {**stacks, "rdt": slowly(1.25)},
        {"stack of 10": to(5), "stack of 20": to(20), "rdt": slowly(1.25)},
        {**stacks, "rdt": [slowly(1.25), to(5), slowly(1.25)]},
    ),
    3: (
        {"no injection": (forgets(32), {"grows": 4.0})},
        {"no injection": always},
        {"no injection": [(forgets(32), {"grows": 4.0}), (always, {}), (forgets(32), {"grows": 4.0})]},
    ),
    4: (
        {"rdt": (always, {"probe": same}), "written": (always, wrote(96))},
        {"rdt": (slowly(0.5), {"probe": same}), "written": (always, wrote(96))},
        {"rdt": (always, {"probe": same}), "written": (always, wrote(30))},
    ),
    5: (
        {"rdt": (always, use), "dense": never},
        {"rdt": (always, use), "dense": always},
        {"rdt": (always, use), "dense": wild},
    ),
    6: (
        {"small cache": (always, {"cache": 48}), "full attention": (always, {"cache": 512})},
        {"small cache": (always, {"cache": 160}), "full attention": (always, {"cache": 512})},
        {"small cache": [(one, {"cache": 48}) for one in wild], "full attention": (always, {"cache": 512})},
    ),
    7: (rates(calm, off), rates(off, off), rates(calm, lambda rate: {"norm": 1e9} if rate > 50 else {})),
    8: (
        {},
        {"rdt": (always, {"used": lambda depth: 50.0 - depth})},
        {"rdt": [(always, {}), (lambda depth, how: never() if how == "act" else 1.0, {}), (always, {})]},
    ),
    9: (
        {"few loops": forgets(16)},
        {"few loops": forgets(16), "rdt": forgets(16)},
        {"few loops": [forgets(16), always, always]},
    ),
    10: (
        {"no adapters": never, "stack of 10": to(5)},
        {"no adapters": always},
        {"no adapters": wild, "stack of 10": to(5)},
    ),
    11: (
        {**stacks, "transformer": never, "stack of 5": never},
        {name: always for name in UNLOOPED[:4]},
        {**stacks, "transformer": [to(5), never, never], "stack of 5": never},
    ),
    12: (bowls(0.4), bowls(0.0), {name: (always, {"steps": 10, "loss": {"loops": list(RECURRENCES), "loss": [1.0] * 5}})
                                  for name in CLAIMS[12].designs}),
    13: (
        {"rdt": (always, losses(bent("exponential")))},
        {"rdt": (always, losses(bent("power")))},
        {"rdt": [(always, losses(bent(kind))) for kind in ("exponential", "power", "exponential")]},
    ),
    14: (
        {"few loops": slowly(0.84)},
        {"few loops": to(5)},
        {"few loops": [slowly(0.84), always, slowly(0.84)]},
    ),
}  # fmt: skip
"""For each claim, made-up runs in which it is true, false, and left open."""


@pytest.mark.parametrize("number", CLAIMS)
@pytest.mark.parametrize("place,verdict", list(enumerate((SUPPORTED, REFUTED, INCONCLUSIVE))))
def test_a_verdict_follows_from_the_records_by_its_rule(number, place, verdict):
    parts, said, reason = carry.judged(CLAIMS[number], world(number, WORLDS[number][place]))
    assert said == verdict, (reason, [(one.part.what, one.told, one.verdict) for one in parts])
    assert reason and "\n" not in reason


@pytest.mark.parametrize("number", [number for number in CLAIMS if number != 7])
def test_a_claim_whose_runs_failed_or_are_missing_is_inconclusive_and_says_why(number):
    found = world(number, WORLDS[number][0])
    design = CLAIMS[number].designs[0]
    found.runs[design, 1] = replace(found.runs[design, 1], status="diverged")
    assert carry.judged(CLAIMS[number], found)[1:] == (INCONCLUSIVE, f"runs of {design} failed: seed 1 (diverged)")
    del found.runs[design, 1]
    assert carry.judged(CLAIMS[number], found)[1:] == (INCONCLUSIVE, f"no run of {design}, seed 1")


@pytest.mark.parametrize("number", CLAIMS)
def test_runs_without_what_a_claim_asks_of_them_leave_it_open(number):
    found = world(number, WORLDS[number][1])
    bare = {place: replace(run, asked={}, inside=None, measures={}) for place, run in found.runs.items()}
    parts, verdict, reason = carry.judged(CLAIMS[number], Evidence(SEEDS, bare))
    assert (parts, verdict) == ([], INCONCLUSIVE) and reason.startswith(("no ", "depth "))


def test_a_run_whose_state_was_not_recorded_does_not_count_as_stable():
    found = world(7, rates(calm, off))
    place = "lti at 10x", SEEDS[0]
    found.runs[place] = replace(found.runs[place], inside=None)
    assert carry.judged(CLAIMS[7], found) == ([], INCONCLUSIVE, "no norm of the state was recorded")


def test_of_two_laws_the_one_that_is_found_is_told_beside_the_one_that_is_not():
    alike = {name: [(right, {**known, "steps": 10}) for right, known in each] for name, each in bowls(0.4).items()}
    verdict, reason = carry.judged(CLAIMS[12], world(12, alike))[1:]
    none, told = reason.split("; ")
    assert verdict == INCONCLUSIVE and none.startswith("no power law of the best token count: 0 of 4 budgets")
    assert told.startswith("the best recurrence has exponent ")
    assert float(told.split()[5]) == pytest.approx(0.4, abs=0.03)


def test_what_is_compared_at_equal_flops_costs_as_much_in_training():
    def cost(name):
        e = DESIGNS[name]
        model = build(e.model, e.architecture, e.vocabulary, e.train.mean_loops)
        return step_flops(model, e, e.task)

    assert cost("rdt") == pytest.approx(cost("dense"), rel=0.02)
    assert cost("stack of 10") == pytest.approx(cost("rdt"), rel=0.1)
    each = {loops: cost(f"budget 1, {loops} loops") for loops in RECURRENCES}
    for budget in BUDGETS:
        spent = [DESIGNS[f"budget {budget:g}, {loops} loops"].train.steps * each[loops] for loops in RECURRENCES]
        assert max(spent) < 1.02 * min(spent)


def test_every_rule_is_written_down_with_its_numbers_and_every_design_is_known():
    for claim in CLAIMS.values():
        assert claim.rule and "at " in claim.rule and set(claim.designs) <= set(DESIGNS)
        assert all(design in claim.designs and name in measures.MEASURES for design, name in claim.measures)
    runs = [experiment.run for experiment in DESIGNS.values()]
    assert len(set(runs)) == len(runs) and {claim.name for claim in CLAIMS.values()} and len(CLAIMS) == 14


def test_of_the_intervals_over_seeds_and_over_questions_the_outer_ends_count():
    part = Part("accuracy", least=0.9)
    alike = judge(part, share([64, 64, 64], 64))
    assert (alike.value, alike.high, alike.verdict) == (1.0, 1.0, SUPPORTED) and 0.94 < alike.low < 0.95
    spread = judge(part, share([64, 50, 64], 64))
    x = np.array([64, 50, 64]) / 64
    assert spread.low == pytest.approx(x.mean() - 4.3027 * x.std(ddof=1) / 3**0.5, abs=1e-4)
    assert spread.verdict == INCONCLUSIVE and judge(part, share([20, 22, 21], 64)).verdict == REFUTED
    once = judge(Part("ratio", least=1, unit="x"), Measured((3.0,)))
    assert once.verdict == INCONCLUSIVE  # a single seed, and nothing over questions
    two = judge(Part("ratio", least=1.7, unit="x"), Measured((2.0, 8.0)))
    assert two.value == pytest.approx(4.0) and two.low > 0


def test_seeds_that_are_all_alike_settle_something_from_six_on():
    """Three seeds that reach depth 20 each may do so by chance: of what a fourth would reach nothing is known."""
    part = Part("depth", least=2, unit="x")
    for seeds, verdict in ((1, INCONCLUSIVE), (3, INCONCLUSIVE), (5, INCONCLUSIVE), (6, SUPPORTED), (10, SUPPORTED)):
        assert judge(part, Measured((4.0,) * seeds)).verdict == verdict
    assert judge(part, Measured((1.0,) * 6)).verdict == REFUTED
    for same, verdict in ((of_sizes([4.0] * 3), SUPPORTED), (of_sizes([1.0, 4.0, 1.0]), INCONCLUSIVE)):
        assert judge(part, same).verdict == verdict, "a ratio of sizes is the same by no chance"
    assert "no interval" in judge(part, Measured((4.0,) * 5)).told


@pytest.mark.parametrize(("part", "value"), [(Part("d", least=8, unit="x"), 8.0), (Part("d", most=1.5, unit="x"), 1.5)])
def test_a_figure_on_its_bound_lies_in_the_range(part, value):
    """Though its mean is taken of logarithms."""
    for seeds in range(6, 13):
        judged = judge(part, Measured((value,) * seeds))
        assert (judged.value, judged.verdict) == (value, SUPPORTED)


def test_a_premise_that_fails_says_nothing_of_the_claim():
    premise, part = Part("learnt", least=0.9, premise=True), Part("gain", least=0.2, unit="points")
    failed, gained = judge(premise, share([10, 10, 10], 64)), judge(part, Measured((0.5,) * 6))
    assert gained.verdict == SUPPORTED and combine([gained])[0] == SUPPORTED
    verdict, why = combine([failed, gained])
    assert verdict == INCONCLUSIVE and "its premise does not hold: learnt: at least 90.0%" in why


@pytest.mark.parametrize(
    "number,design",
    [
        (1, "stack of 10"),
        (2, "rdt"),
        (2, "stack of 10"),
        (2, "stack of 20"),
        (3, "all gradient"),
        (3, "no injection"),
        (6, "full attention"),
        (9, "few loops"),
        (11, "rdt"),
        (14, "few loops"),
    ],
)
def test_a_model_that_has_not_learnt_what_it_was_trained_on_settles_nothing(number, design):
    known = WORLDS[number][0].get(design, always)
    known = known[1] if isinstance(known, tuple) else {}
    for place in (0, 1):  # neither where the claim is true nor where it is false
        found = carry.judged(CLAIMS[number], world(number, {**WORLDS[number][place], design: (never, known)}))
        assert found[1] == INCONCLUSIVE and found[2].startswith("its premise does not hold: "), found
        assert "accuracy at depth 5" in found[2]


def test_ranks_and_the_wave_of_a_probe():
    assert ranked(np.array([1, 2, 3, 4]), np.array([1, 5, 5, 9])) == pytest.approx(0.9486833)
    assert ranked(np.array([1, 2, 3]), np.array([4, 4, 4])) == 0
    assert wave(read_by(lambda hop: 2 * hop)) == (pytest.approx(1.0), pytest.approx(0.5))


# the written steps


def test_written_steps_say_what_the_bare_task_says():
    task = KhopWritten(entities=6, relations=2)
    batch = draw(task, 0, TRAIN, 4, 0, 50)
    bare = super(KhopWritten, task)
    for tokens, targets, depths in zip(*batch, strict=True):
        told = task.solve(tokens)
        asked = targets != NOT_ASKED
        assert (told.targets[asked] == targets[asked]).all() and (told.depths == depths).all()
        assert (targets[1::2] == tokens[2::2]).all() and list(depths[1::2]) == [1, 2, 3, 4]
        assert (bare.solve(task.canonical(tokens[None])[0]).targets[1:] == targets[1::2]).all()


# from end to end


@pytest.fixture
def tiny(monkeypatch):
    """The designs of three claims, so small that they learn nothing in a second, and one measure of each kind."""

    def small(e):
        evaluate = replace(e.evaluate, loops=(1, 6, 10, 16, 64, MOST), count=2)
        task = replace(e.task, test_depths=(10, 20))
        train = replace(e.train, steps=2, batch=8, warmup=1)
        return replace(e, task=task, evaluate=evaluate, train=train, architecture=SMALL)

    monkeypatch.setattr(carry, "DESIGNS", {name: small(DESIGNS[name]) for name in ("rdt", "written", "few loops")})
    monkeypatch.setattr(carry, "QUICK", (0,))
    for name in ("ROWS", "READ_LOOPS"):
        monkeypatch.setattr(measures, name, 12)
    return "4,13,more-loops"


def without_seconds(folder):
    return [{**line, "seconds": 0, "command": ""} for line in lines(folder / "ledger.jsonl")]


def test_claims_share_runs_and_an_interrupted_ledger_goes_on_to_the_same(tiny, tmp_path, capsys, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    code, out, err = told(capsys, "claims", tiny, "--quick", "--workers", 1, "--out", whole)
    assert code == 0, err
    assert out.startswith("3 runs to do, about ") and "3 claims: " in out and "inconclusive" in out
    assert f"python run_benchmarks.py claims 13 --quick --out {whole}" in out
    assert len(lines(whole / "runs.jsonl")) == 3 and len(lines(whole / "measures.jsonl")) == 3
    entries = ledger.read(whole)
    assert [entry.number for entry in entries] == [4, 13, 14] and [len(entry.runs) for entry in entries] == [2, 1, 1]

    take, calls = measures.take, []

    def stops(*asked):
        calls.append(asked)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return take(*asked)

    shutil.copytree(whole, cut)  # as it was when the last run had not ended
    dump(cut / "runs.jsonl", lines(whole / "runs.jsonl")[:-1])
    (cut / "measures.jsonl").unlink()
    (cut / "ledger.jsonl").unlink()
    monkeypatch.setattr(measures, "take", stops)
    code, out, err = told(capsys, "claims", tiny, "--quick", "--workers", 1, "--out", cut)
    assert code == 2 and "the same command goes on from there" in err and not (cut / "ledger.jsonl").exists()
    monkeypatch.setattr(measures, "take", take)
    with open(cut / "measures.jsonl", "a") as file:
        file.write('{"run": "cut off')
    code, out, err = told(capsys, "claims", tiny, "--quick", "--workers", 1, "--out", cut)
    assert code == 0 and "runs to do" not in out and len(lines(cut / "measures.jsonl")) == 3
    assert without_seconds(cut) == without_seconds(whole)

    kept = lines(cut / "measures.jsonl")
    dump(cut / "measures.jsonl", [line for line in kept if line["measure"] != "loss"])
    weights = cut / "weights" / f"{ledger.read(cut)[1].runs[0]}.safetensors"
    whole_weights = weights.read_bytes()
    weights.write_bytes(whole_weights[:-9])
    code, _, err = told(capsys, "claims", 13, "--quick", "--workers", 1, "--out", cut)
    already, failure = err.splitlines()
    assert code == 2 and already.startswith("1 of 1 runs are in ") and "is no whole safetensors file" in failure
    weights.write_bytes(whole_weights)
    dump(cut / "measures.jsonl", kept)

    (cut / "weights").rename(tmp_path / "gone")
    dump(cut / "measures.jsonl", [line for line in lines(cut / "measures.jsonl") if line["measure"] != "loss"])
    code, out, err = told(capsys, "claims", 13, "--quick", "--workers", 1, "--out", cut)
    assert code == 0 and "no measure 'loss' of rdt, seed 0: its weights are gone" in " ".join(out.split())
    assert [entry.number for entry in ledger.read(cut)] == [4, 13, 14]  # the others stay

    old = [{**line, "versions": {**line["versions"], "code": "other"}} for line in lines(cut / "runs.jsonl")]
    dump(cut / "runs.jsonl", old)
    code, _, err = told(capsys, "claims", 13, "--quick", "--workers", 1, "--out", cut)
    assert code == 2 and "of code other" in err.splitlines()[1] and err.count("\n") == 2

    shown = told(capsys, "claims", "--show", whole, "14", "--format", "json")[1]
    assert [entry["name"] for entry in json.loads(shown)] == ["more-loops"]
    dump(whole / "measures.jsonl", [{**line, "measures_version": 99} for line in lines(whole / "measures.jsonl")])
    code, _, err = told(capsys, "claims", tiny, "--quick", "--out", whole)
    assert code == 2 and "has measures version 99: allowed is 1" in err and err.count("\n") == 1
    dump(whole / "ledger.jsonl", [{**line, "ledger_version": 9} for line in lines(whole / "ledger.jsonl")])
    code, _, err = told(capsys, "claims", "--show", whole)
    assert code == 2 and "line 1 has ledger version 9: allowed is 1" in err and err.count("\n") == 1


def write_over(path, what):
    if isinstance(what, bytes):
        path.write_bytes(what)
    else:
        dump(path, what)


def test_a_claim_that_stands_twice_is_told(tmp_path, capsys):
    ledger.write(tmp_path, [ENTRY])
    dump(tmp_path / ledger.NAME, 2 * lines(tmp_path / ledger.NAME))
    code, _, err = told(capsys, "claims", "--show", tmp_path)
    assert code == 2 and "line 2 is of claim 13 again: remove one of the two" in err


FIGURE = {"what": "a", "told": "1x", "over": "3 seeds", "rule": None, "premise": False}
ENTRY = ledger.Entry(13, "a", "a", "a", "a", "a", [FIGURE], SUPPORTED, "a", [1], ["r"], 1.0, "a")


@pytest.mark.parametrize(
    "change,says",
    [
        (b"", "is empty: remove the file"),
        (b"\xff\xfe", "line 1 is not whole: remove the file"),
        (b'{"number": 13, "na', "line 1 is not whole: remove the file"),
        ({"seeds": 3}, "line 1: seeds is 3: allowed is a list"),
        ({"figures": [7]}, "line 1: a figure: it is 7: allowed is a table"),
        ({"figures": [{"what": "a"}]}, "line 1: a figure: told is missing"),
    ],
)
def test_a_damaged_ledger_is_told_before_anything_is_run(tiny, change, says, tmp_path, capsys):
    ledger.write(tmp_path, [ENTRY])
    path = tmp_path / ledger.NAME
    write_over(path, [line | change for line in lines(path)] if isinstance(change, dict) else change)
    held = path.read_bytes()
    for words in (("--show", tmp_path), (13, "--quick", "--workers", 1, "--out", tmp_path)):
        code, _, err = told(capsys, "claims", *words)
        assert code == 2 and says in err and err.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == [ledger.NAME] and path.read_bytes() == held


MEASURED = {"run": "r", "measure": "loss", "value": {"loops": [1, 2], "loss": [1.0, 0.5]}, "measures_version": 1}


@pytest.mark.parametrize(
    "line,says",
    [
        (b"\xff\xfe", "line 1 is no measure: remove it"),
        ({"run": [1]}, "line 1 is no measure: remove it"),
        ({"value": None}, "line 1: loss is None: allowed is what `claims` has measured"),
        ({"value": {"loops": [1]}}, "line 1: loss is {'loops': [1]}"),
        ({"value": {"loops": [1, 2], "loss": [1.0]}}, "line 1: loss is "),
        ({"value": {"loops": [1], "loss": ["a"]}}, "line 1: loss is "),
        ({"measure": "cache", "value": True}, "line 1: cache is True"),
        ({"measure": "probe", "value": [[1.0], []]}, "line 1: probe is "),
        ({"measure": "written", "value": {"10": {"correct": 1}}}, "line 1: written is "),
    ],
)
def test_damaged_measures_are_told_before_anything_is_run(tiny, line, says, tmp_path, capsys):
    path = tmp_path / measures.NAME
    dump(path, [MEASURED])
    assert measures.held(tmp_path) == {"r": {"loss": MEASURED["value"]}}
    write_over(path, [MEASURED | line] if isinstance(line, dict) else line + b"\n")
    code, _, err = told(capsys, "claims", 13, "--quick", "--workers", 1, "--out", tmp_path)
    assert code == 2 and says in err and err.count("\n") == 1 and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "words,says",
    [
        (["halitng"], "unknown claim 'halitng': did you mean 'halting'?"),
        (["15"], "unknown claim '15'"),
        (["1,twelve"], "unknown claim 'twelve'"),
        (["--workers", "-1"], "--workers is -1"),
        (["--format", "jsn"], "unknown format 'jsn': did you mean 'json'?"),
        (["--show", "nowhere"], "no folder 'nowhere'"),
        (["--show", "nowhere", "--quick"], "--quick: --show runs nothing, and has no use for it"),
        (["--show", "nowhere", "--out", "there"], "--out: --show runs nothing, and has no use for it"),
        (["--show", "."], "'.' holds no ledger.jsonl"),
    ],
)
def test_a_mistake_is_told_in_one_line(words, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = told(capsys, "claims", *words)
    assert code == 2 and says in err and err.count("\n") == 1 and out == "" and not list(tmp_path.iterdir())


def test_a_claim_that_nothing_decides_or_that_names_no_design_is_refused():
    plain = CLAIMS[1]
    for parts in ((Part("a"),), (Part("a", least=1, premise=True),)):
        with pytest.raises(UserError, match="nothing decides it"):
            replace(plain, parts=parts)
    with pytest.raises(UserError, match=f"unknown design of claim '{plain.name}' 'rdtt': did you mean 'rdt'"):
        replace(plain, designs=("rdtt",))
    with pytest.raises(UserError, match="unknown design of claim"):
        replace(plain, measures=(("nothing", "loss"),))


NASTY = "<img src=x onerror=alert(1)>"


def test_the_report_has_a_section_with_every_name_escaped(tmp_path, capsys):
    path = folder(tmp_path / "a")
    assert told(capsys, "report", path)[0] == 0 and "Claims of the field" not in (path / "report.html").read_text()
    figure = {"what": NASTY, "told": "1x", "rule": NASTY, "premise": False, "over": "3 seeds"}
    entry = ledger.Entry(1, NASTY, NASTY, NASTY, NASTY, NASTY, [figure], SUPPORTED, NASTY, [0], ["r"], 1.0, NASTY)
    ledger.write(path, [entry, replace(entry, number=2, figures=[], verdict=INCONCLUSIVE)])
    assert told(capsys, "report", path)[0] == 0
    page = (path / "report.html").read_text()
    assert "Claims of the field" in page and "2 claims: 1 supported, 0 refuted, 1 inconclusive" in page
    assert NASTY not in page and page.count("&lt;img src=x") >= 8
    assert "4 runs here belong to no claim" in page
    assert told(capsys, "report", path, "--models", "deep")[0] == 0
    assert "deep extrapolates" in (path / "report.html").read_text()
    for style in ("simple", "github", "plain", "latex", "csv", "json"):
        assert NASTY in told(capsys, "claims", "--show", path, "--format", style)[1]


def test_the_ledger_is_shown_without_torch():
    code = "import sys, evaluate.show.ledger; print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
