"""The README's answer: every figure of it, recomputed from results/reference/all."""

import json
import re
from math import floor
from statistics import median_low

import numpy as np
import pytest
import torch
from torch import nn

from evaluate.records import read
from evaluate.run.extrapolation import questions
from evaluate.run.presets import HEADLINE, PRESETS, RECIPES, recipe
from evaluate.show import tables, written
from evaluate.show.grid import Results
from evaluate.show.measures import measure_rows, ratio_rows, suite_leads, suite_rows, used_loops
from model import build
from tasks import TASKS
from tests.pages import README, ROOT, SAID, WORDS, best_loops, never_came, rows, runs_of_all


def test_the_record_is_what_the_records_say():
    records = read(ROOT / "results/reference/all")
    results = Results(records)
    told = tables.show(results, "github", ["ratios"])
    assert "\n".join(line for line in told.splitlines() if line.startswith("|")) in README
    preset = {one.run for one in PRESETS["reference"]()}
    assert set(records.runs) <= preset, "a recipe was changed after its run"
    assert f"Of the {len(preset)} runs of the preset `reference`, {len(records.runs)} are in" in SAID
    assert f"So far, {len(records.runs)} of the {len(preset)} runs of the preset `reference` have been carried" in SAID
    assert not any(run["git_dirty"] for run in records.runs.values())
    for task, _, told in rows(f"{'task':>21} | trained to | right |"):
        depths = [int(depth) for depth in re.findall(r"at (\d+)", told)]
        grid = results.grids[task, "rdt"]
        column, at = grid.headline("160"), [grid.depths.tolist().index(depth) for depth in depths]
        right = grid.correct[:, at, column].sum(0) / grid.count[:, at, column].sum(0)
        shares = (f"{floor(1000 * share) / 10:.3g}%" for share in right)
        assert told == ", ".join(f"{share} at {d}" for share, d in zip(shares, depths, strict=True)), "never rounded up"
        assert recipe(task, "rdt").architecture.adapters == "none", "as is told of it"


def test_what_is_said_of_rules_that_stop_is_what_the_records_say():
    results, said = Results(read(ROOT / "results/reference/all")), SAID
    most, settled = ratio_rows(results), ratio_rows(results, "settled")
    for name in ("rdt", "rdt worst"):
        assert [row[name] for row in settled] == [row[name] for row in most], "it stops as deep as it goes"
    short = {
        rule: sum(one["rdt"] < other["rdt"] for one, other in zip(ratio_rows(results, rule), most, strict=True))
        for rule in ("act", "converged")
    }
    assert short == {"act": 8, "converged": 6} and len(most) == 14
    assert (
        "`act`, which learns to halt, falls short of that on eight of the fourteen tasks, `converged` on six, in"
        in said
    )
    early = [row["task"] for row in ratio_rows(results, "act") if row["rdt"] < row["trained"]]
    told = re.search(r"and in four \(([^)]*)\) `act` falls short of what it was trained on", said)
    assert sorted(re.findall(r"`(\w+)`", told[1])) == sorted(early) and len(early) == 4
    assert "falls short of that in eight tasks, and in four it falls short of the trained depth (suite score" in said
    assert said.count("in eight of fourteen") == 2, "of claim 8"
    for rule in ("act", "converged"):
        grid = results.grids["khop_facts", "rdt"]
        assert sorted(grid.depth95s(grid.headline(rule)).tolist()) == [40, 160, 500, 500, 500]
    assert "both end two of the five seeds too soon, at 40 and 160 relations" in said
    for rule in (None, "settled"):
        scores = {row["model"]: row for row in suite_rows(results, rule)}
        rdt, plain = scores["rdt"], scores["transformer"]
        assert plain["tasks"] == rdt["tasks"] == 14
        told = (
            f"is {written.times(rdt['score'])} for the RDT, both with the most loops and by `settled` ({{}} or "
            "more by a 95%"
        )
        assert (
            f"{told.format(written.times(rdt['low']))} interval, which is over seeds where those of a task "
            "differ, and over questions otherwise)." in said
        )
        told = (
            f"`transformer` has {written.times(plain['score'])}, and in {{}} tasks it never got past the smaller "
            "sizes to the task"
        )
        assert told.format(WORDS[len(never_came(results, "transformer"))]) in said
    shared = [task for task in results.tasks if all((task, model) in results.grids for model in results.models)]
    both = [{row["model"]: written.times(row["score"]) for row in suite_rows(results, rule, shared)}
            for rule in (None, "settled")]  # fmt: skip
    assert both[1]["rdt"] == both[0]["rdt"]
    told = "`looped_normed` {looped_normed} (ITS by `settled`), `gru` {gru}, `transformer_deep` {transformer_deep}, "
    told += (
        "`transformer_rope` {transformer_rope}, `looped` {looped} (LATER by `settled`) and `transformer` {transformer}."
    )
    told = told.format(**both[0]).replace("LATER", both[1]["looped"]).replace("ITS", both[1]["looped_normed"])
    assert told in said and f"On the {WORDS[len(shared)]} tasks that all seven models have so far, the RDT has" in said
    ceiling = f"and {written.times(rdt['most'])} is the most that could be had."
    assert (
        f"It is a floor: in thirteen tasks the RDT reaches the deepest depth asked, {ceiling} It depends on "
        "how far one" in said
    )
    floor = sum(row["rdt"] == row["deepest"] for row in most)
    assert floor == 13 and "in thirteen tasks the RDT reaches the deepest depth asked," in said
    grids = [results.grids[task, "rdt"] for task in RECIPES]
    depths = [np.minimum(g.depth95s(g.headline()), 80 if g.task in HEADLINE else 1000) for g in grids]
    nearer = [np.mean(np.log1p(depth / g.train_max_depth)) for g, depth in zip(grids, depths, strict=True)]
    told = written.times(float(np.exp(np.mean(nearer))) - 1)
    assert f"(with `khop_facts` and `mod_chain` asked to 80 it would be {told})" in said
    told = np.exp(np.mean([one for one, task in zip(nearer, RECIPES, strict=True) if task in shared])) - 1
    assert f"the RDT has {both[0]['rdt']} ({written.times(float(told))}, if asked to 80 there), `looped_normed`" in said
    act, sure = (
        next(written.times(row["score"]) for row in suite_rows(results, rule) if row["model"] == "rdt")
        for rule in ("act", "converged")
    )
    assert f"it falls short of the trained depth (suite score {act};" in said
    assert f"Their suite scores are {act} and {sure}, as against {written.times(rdt['score'])}." in said
    tasks = ("chain_end", "tree_path", "reachability", "variable_assignment", "nested_expression")
    tasks = (*tasks, "relation_composition", "p_hop_induction")
    runs = {task: results.grids[task, "transformer"].runs[0]["stage_steps"] for task in tasks}
    stages = [sum(steps > 0 for steps in runs[task]) for task in tasks], [len(runs[task]) for task in tasks]
    assert stages == ([4, 4, 1, 3, 2, 2, 1], [7, 8, 7, 6, 4, 7, 5])
    assert {*never_came(results, "transformer")} == {*tasks, "khop_context", "group_word", "carry_chain"}
    for task, at, sizes in (("khop_context", 2, 6), ("group_word", 1, 2), ("carry_chain", 1, 4)):
        known = [run["stage_steps"] for run in results.grids[task, "transformer"].runs if "stage_steps" in run]
        assert {(sum(steps > 0 for steps in of), len(of)) for of in known} == {(at, sizes)}
    told = (
        "so it was in `khop_context`, at stage 2 of 6, in `group_word`, at 1 of 2, and in `carry_chain`, at 1 of 4 (of"
    )
    assert f"{told} one seed's older record nothing is known)." in said
    assert f"{', '.join(f'`{task}`' for task in tasks[:-1])} and `{tasks[-1]}` `transformer` never came to" in said
    beside = {m for t, m in results.grids if t == "p_hop_induction"} - {"rdt", "looped_normed"}
    assert beside == {"transformer"} and "`transformer` is the only one of these three that was run." in said
    either = {task for task in RECIPES if {m for t, m in results.grids if t == task} & {"looped", "gru"}}
    others = sorted({*RECIPES} - either)
    told = f"In {', '.join(f'`{task}`' for task in others[:-1])} and `{others[-1]}` nothing but `transformer`, `looped_"
    ordinary = [task for task in others if (task, "transformer_rope") in results.grids]
    assert (
        f"{told}normed` and, in {' and '.join(f'`{task}`' for task in ordinary)}, `transformer_rope` was carr" in said
    )
    beside = {m for t, m in results.grids if t in others} - {"rdt", "transformer"}
    assert beside == {"looped_normed", "transformer_rope"}
    assert "it stayed at stage 4, 4, 1, 3, 2, 2 and 1 of 7, 8, 7, 6, 4, 7 and 5" in said
    spent = {one: results.grids[one].runs[0].get("stage_steps", ()) for one in results.grids}
    came = {one: sum(steps > 0 for steps in of) for one, of in spent.items()}
    assert came["khop_context", "gru"] == came["chain_end", "gru"] == 1 and "`gru` not past the first of" in said
    deep = came["chain_end", "transformer_deep"], len(spent["chain_end", "transformer_deep"])
    assert f"`transformer_deep` came to stage {deep[0]} of {deep[1]} of `chain_end`," in said
    rope = [
        (came[task, "transformer_rope"], len(spent[task, "transformer_rope"]))
        for task in ("chain_end", "khop_context", "tree_path", "variable_assignment")
    ]
    told = "and `transformer_rope` to stage {} of {} and {} of {} of the two, {} of {} of `tree_path` and {} of {} of"
    assert told.format(*(n for pair in rope for n in pair)) in said
    for task in ("chain_end", "khop_context"):
        assert all(came[task, one] == len(spent[task, one]) for one in ("rdt", "looped", "looped_normed"))


def nets(name: str) -> list[nn.Module]:
    made = [recipe(task, name) for task in RECIPES]
    return [build(name, e.architecture, e.vocabulary, e.train.mean_loops) for e in made]


def test_the_answer_so_far_is_what_the_records_say():
    results, said = Results(read(ROOT / "results/reference/all")), SAID
    best = {row["task"]: row for row in ratio_rows(results, "settled")}
    most = {row["task"]: row for row in ratio_rows(results)}
    for of in (best, most):
        less = [task for task, row in of.items() if row["rdt"] < 4 * row["trained"]]
        assert not less
    assert sum(row["rdt"] == row["deepest"] for row in most.values()) == 13 and len(most) == 14
    assert (
        "It goes at least 4 times as deep as it was trained in each of the 14 tasks, in the median of its seeds, and "
        "reaches the deepest depth asked in 13." in said
    )
    for model, told in (("gru", "8 and 8"), ("transformer_deep", "5 and 5")):
        reached = [max(of[task][model] for of in (best, most)) for task in HEADLINE]
        assert told == f"{reached[0]} and {reached[1]}"
    picked = [best_loops(results.grids[task, "looped"]) for task in HEADLINE]
    told = f"whose state grows by e in every loop, reaches {picked[0]} and {picked[1]} steps, with the number of loops"
    assert f"{told} that is best for it; a GRU, which recurs over tokens in place of depth, 8 and 8; a stack" in SAID
    assert "8 and 8; a stack of at least as much training compute, 5 and 5." in SAID
    over = [best_loops(g) / g.train_max_depth for (_, model), g in results.grids.items() if model == "looped"]
    over += [reached / row["trained"] for row in most.values() for model, reached in row.items()
             if model in ("transformer", "transformer_deep", "transformer_rope") and reached is not None]  # fmt: skip
    told = (
        "`looped`, which has neither that norm nor A and B, and the three stacks, which do not loop, go no "
        "further than 2.4 times"
    )
    assert max(over) == 2.4 and f"{told} the trained depth." in said
    deep = {
        task: max(of[task]["transformer_deep"] for of in (best, most))
        for task, model in results.grids
        if model == "transformer_deep"
    }
    further = {task: reached for task, reached in deep.items() if reached > most[task]["trained"]}
    once = sum(len(results.grids[task, "transformer_deep"].runs) == 1 for task in deep)
    told = f"Of the {WORDS[len(deep)]} tasks where that stack was carried out, {WORDS[once]} of them with one seed, it"
    held = sum(reached >= most[task]["trained"] for task, reached in deep.items())
    assert (
        f"{told} has learnt {WORDS[held]} to the deepest depth that it was trained on, and goes beyond in none:" in SAID
    )
    grids = {task: results.grids[task, "transformer_deep"] for task in deep}
    ends = {task: sorted(grid.depth95s(grid.headline()).tolist()) for task, grid in grids.items()}
    beyond = {task: of for task, of in ends.items() if of[-1] > most[task]["trained"]}
    assert beyond == {"n_ary_addition": [6, 6, 8], "mod_chain": [5, 5, 5, 5, 6]} and not further
    told = "in `n_ary_addition` one seed of three reaches 8 numbers, where 6 were trained, and in `mod_chain` one of"
    assert f"{told} five reaches 6 steps, where 5 were)" in said
    told = "of `n_ary_addition` one seed of three reaches 8 numbers instead of 6, of `mod_chain` one of five 6 steps"
    assert f"{told} instead of 5 (in four its heads do not" in SAID
    grid = results.grids["khop_context", "transformer_deep"]
    correct, count = (counted[:, grid.headline()].tolist() for counted in grid.pooled)
    at = grid.depths.tolist()
    shares = {d: f"{written.points(correct[at.index(d)] / count[at.index(d)])}%" for d in (3, 4, 24)}
    told = f"has learnt all of its 3 hops (100%), and has {shares[4]} at 4 and {shares[24]} at 24"
    rdt = results.grids["khop_context", "rdt"]
    (right,), (asked,) = ([counted[rdt.depths.tolist().index(24), rdt.headline()]] for counted in rdt.pooled)
    assert (
        shares[3] == "100%" and f"{told}, where a guesser has 2.1% and the RDT {written.points(right / asked)}%" in SAID
    )
    assert f"{grid.chance[0]:.1%}" == "2.1%"
    as_deep = [task for task, row in most.items() if row["gru"] == row["deepest"]]
    assert sorted(as_deep) == ["carry_chain", "n_ary_addition", "prefix_sum"]
    grid = results.grids["group_word", "gru"]
    (right, asked) = (counted[-1, grid.headline()] for counted in grid.pooled)
    assert "In `prefix_sum`, `carry_chain` and `n_ary_addition` the GRU goes as deep as was asked." in said
    told = f"it reaches {most['group_word']['gru']} letters, where {grid.train_max_depth} were trained, and has "
    told += f"{written.points(right / asked)}% of {grid.depths[-1]} right (a guesser {100 * grid.chance[-1]:.1f}%)"
    assert told in said
    assert most["khop_context"]["gru"] == 0
    kept = [grid.depths.tolist().index(grid.train_max_depth) for grid in results.grids.values()]
    learnt = {
        (task, model)
        for ((task, model), grid), at in zip(results.grids.items(), kept, strict=True)
        if (grid.shares[:, at, grid.headline()] >= 0.95).any()
    }
    assert not [task for task, model in learnt if model == "transformer"], "`transformer` has 95% ... of no task"
    stacks = [[row for row in most.values() if row.get(f"transformer_{kind}") is not None] for kind in ("deep", "rope")]
    held = {
        kind: [row[f"transformer_{kind}"] >= row["trained"] for row in rows]
        for kind, rows in zip(("deep", "rope"), stacks, strict=True)
    }
    told = "`transformer_deep` has it in {} of {}, `transformer_rope` in {} of {}."
    assert told.format(*(WORDS[n] for of in held.values() for n in (sum(of), len(of)))) in said
    rope = [results.grids[task, "transformer_rope"] for task in HEADLINE]
    assert all(len(g.runs) >= 3 and (g.shares[:, :5, g.headline()] == 1).all() for g in rope)
    assert all(g.depths.tolist()[5:7] == [6, 8] for g in rope)
    (a, b), (c, d) = ([f"{written.points(x)}%" for x in g.shares[:, 5:7, g.headline()].mean(0)] for g in rope)
    told = (
        f"right, on every seed. Of 6 steps it gets {a} and {c} right, and of 8 steps {b} and {d}, where a "
        "guesser has 2.5% and 9.1%."
    )
    assert told in said
    both = stacks[1]
    ends, deep = ([row[name] for row in both] for name in ("transformer_rope", "trained"))
    told = f"Of the {WORDS[len(ends)]} tasks that it was run on, it learns {{}} to the trained depth, and none deeper"
    assert told.format(WORDS[sum(x == y for x, y in zip(ends, deep, strict=True))]) in said
    assert all(x <= y for x, y in zip(ends, deep, strict=True))
    best_of = {
        row["task"]: row["transformer_rope best"] for row in both if row["transformer_rope best"] > row["trained"]
    }
    assert best_of == {"carry_chain": 6} and len(results.grids["carry_chain", "transformer_rope"].runs) == 3
    assert "(in a fourth, `carry_chain`, one seed of three goes to 6, where 5 were trained)" in said
    learnt_deep = WORDS[sum(held["deep"])]
    assert (
        f"learns {learnt_deep} of {WORDS[len(stacks[0])]} tasks, and goes beyond the trained depth in "
        "none (but in" in said
    )
    again = Results(read(ROOT / "results/reference/confirmation"))
    reached = {task: g.depth95s(g.headline())[0] for (task, model), g in again.grids.items() if model == "transformer"}
    assert [task for task, depth in reached.items() if depth >= 5] == ["khop_facts"]
    ends = {row["task"]: f"{row['rdt ratio']:.3g}" for row in ratio_rows(again)}
    told = f"so that it ends there at {ends['tree_path']} and {ends['n_ary_addition']} times the deepest trained depth"
    assert told in said and "p_hop_induction" not in ends
    low = sorted((float(ratio), task) for task, ratio in ends.items() if float(ratio) < 3.5)
    assert [task for _, task in low] == ["tree_path"]
    seeds = (g := results.grids["tree_path", "rdt"]).depth95s(g.headline()).tolist()
    assert sorted(seeds)[1:] == [g.depths[-1]] * 2, "two go as deep as was asked"
    shares = {d: [written.points(s) for s in g.shares[:, i, g.headline()]] for i, d in enumerate(g.depths.tolist())}
    told = "of three, two have {}% and {}% of 16 steps, and one {}%, ".format(*shares[16])
    told += f"having {shares[6][2]}% of 6, which its selection band tells, and {shares[8][2]}% of 8."
    assert told in said and g.bands[g.depths.tolist().index(6)] == "selection"
    told = f"of `tree_path` two go as deep as was asked, one ends at {min(seeds) / g.train_max_depth:.3g} times the "
    told += f"trained depth, and another, by frozen recipes, at {low[0][0]:.1f} times."
    assert told in " ".join(README.split())
    assert (
        "`transformer` has 95% at the deepest trained depth in no task of `reference`, and in one of "
        "`confirmation`;" in said
    )
    stacks = {name: {len(net.blocks) for net in nets(name)} for name in ("transformer", "transformer_deep")}
    assert stacks["transformer"] == {2, 3} and (min(stacks["transformer_deep"]), max(stacks["transformer_deep"])) == (
        10,
        26,
    )
    assert "| `transformer` | a stack of as many parameters as the RDT, 2 or 3 Blocks |" in said
    sizes = {(task, model): grid.runs[0]["parameters"] for (task, model), grid in results.grids.items()}
    over = [n / sizes[task, "rdt"] for (task, model), n in sizes.items() if model == "transformer_deep"]
    assert (round(min(over)), round(max(over))) == (4, 8) and "training compute or more, 4 to 8 times its" in said
    stacks = [n / 1e6 for (_, model), n in sizes.items() if model == "transformer_deep"]
    few = [n / 1e6 for (_, model), n in sizes.items() if model != "transformer_deep"]
    told = f"Models of {min(few):.2f} to {max(few):.2f} million parameters (`transformer_deep`: {min(stacks):.1f} to "
    assert f"{told}{max(stacks):.1f}), trained for up to 2.6 hours on tasks" in said
    assert 2.5 < max(run["train_seconds"] for grid in results.grids.values() for run in grid.runs) / 3600 < 2.6
    costs = {row["model"]: row["eval_flops"] for row in measure_rows(results, "settled") if row["task"] == "mod_chain"}
    assert (
        f"the RDT takes {costs['rdt'] / costs['transformer_deep']:.0f} times the FLOPs of `transformer_deep` by" in said
    )
    costs = {row["model"]: row["eval_flops"] for row in measure_rows(results) if row["task"] == "mod_chain"}
    assert f"and {costs['rdt'] / costs['transformer_deep']:.0f} times with all 1,280 loops" in said
    prompt = [task for task in RECIPES if recipe(task, "rdt").architecture.injection == "normed"]
    assert (
        len(prompt) == 8 and "In the eight whose facts stand in the prompt it has no adapters, no Coda, wider" in said
    )
    local = [task for task in RECIPES if (a := recipe(task, "rdt").architecture).local_heads == a.heads]
    whole = [task for task in RECIPES if task not in (*prompt, *local)]
    assert (
        len(local) == 4 and whole == ["khop_facts", "mod_chain"] and "in four others all its heads are local." in said
    )
    assert sorted(local) == ["carry_chain", "group_word", "n_ary_addition", "prefix_sum"]
    told = (
        "So about one loop per step is forced in `group_word`, `carry_chain` and `n_ary_addition`, "
        "and about half a loop in"
    )
    assert f"{told} `prefix_sum`." in said
    plain = recipe("khop_facts", "rdt").train
    assert (plain.shortest_horizon, plain.longest_horizon) == (6, 18) and "on 1 to 5 steps, with 6 to 18 loops" in said
    assert recipe("mod_chain", "rdt").train.longest_horizon == 18
    commits = len({run["git_commit"] for run in runs_of_all()})
    assert f"as recipes were found, from {commits} commits, so" in said
    compiled = [(run["model"], run["task"]) for run in runs_of_all() if "compiled" in run["versions"]]
    assert compiled == [("looped", "khop_context")] * 2
    assert "; two (`looped` in `khop_context`) trained with compiled Blocks." in said
    assert f"have been carried out, from {commits} commits; each record" in said
    for task in prompt:
        architecture = recipe(task, "rdt").architecture
        assert (architecture.adapters, architecture.coda_blocks) == ("none", 0)
    alone = sum(len(g.runs) == 1 for g in results.grids.values() if g.model == "looped_normed")
    told = f"`looped_normed` has one seed in {WORDS[alone]} of its tasks. In "
    assert told in said
    stuck = [g for g in results.grids.values() if g.model == "transformer" and any(
        0 in run.get("stage_steps", [1]) for run in g.runs)]  # fmt: skip
    staged = [task for task in RECIPES if len(recipe(task, "transformer").task.stages) > 1]
    told = (
        f"In {WORDS[len(staged)]} tasks training begins at smaller sizes (a curriculum); `transformer` never "
        "reached its end in any"
    )
    assert f"{told}" in said and len(stuck) == len(staged)
    grids = [results.grids["khop_context", model] for model in ("transformer", "transformer_rope", "gru")]
    first = [grid.pooled[0][0, grid.headline()] / grid.pooled[1][0, grid.headline()] for grid in grids]
    assert f"of single hops they have {first[0]:.0%}, {first[1]:.0%} and {first[2]:.0%} right" in SAID
    assert all(sum(steps > 0 for steps in grid.runs[0].get("stage_steps", [1])) == 1 for grid in grids[::2])


def test_the_short_answer_is_what_the_records_say():
    """The README's own list: the long one stands in results/reference/answer.md."""
    results, said = Results(read(ROOT / "results/reference/all")), " ".join(README.split())
    most = {row["task"]: row for row in ratio_rows(results)}
    asked = sum(row["rdt"] == row["deepest"] for row in most.values())
    deep = sum(row["rdt"] >= 4 * row["trained"] for row in most.values())
    assert deep == len(most)
    told = (
        f"The RDT goes at least 4 times as deep as it was trained in each of the {deep} tasks, in the median of its "
        f"seeds, and reaches the deepest depth asked in {asked}."
    )
    assert told in said
    seeds = sorted(len(results.grids[task, "rdt"].runs) for task in RECIPES)
    told = f"in the median of its {WORDS[seeds[0]]} to {WORDS[seeds[-1]]} seeds."
    assert f"and it goes at least 4 times as deep as it was trained in each of the {deep}, {told}" in said
    ends = {task: sorted((g := results.grids[task, "rdt"]).depth95s(g.headline()).tolist()) for task in HEADLINE}
    assert ends == {"khop_facts": [500] * 5, "mod_chain": [80, *[500] * 4]}
    assert "on each of five seeds in `khop_facts`, and on four of five in `mod_chain` (80 on the fifth)." in said
    name, held = "looped_normed", [task for task, model in results.grids if model == "looped_normed"]
    deep = sum(most[task][name] == most[task]["deepest"] for task in held)
    assert f"`looped_normed` reaches the deepest depth asked in {deep} of {len(held)} tasks." in said
    scores = {row["model"]: written.times(row["score"]) for row in suite_rows(results, None, held)}
    assert f"is {scores[name]}, and the RDT's is {scores['rdt']}. The two do not differ" in said
    _, low, high = suite_leads(results, "rdt", name)
    assert low < 1 < high
    assert f"has a 95% interval of {low:.2f} to {high:.2f}." in said
    lead, low, high = suite_leads(results, "rdt", name, "settled")
    assert (
        f"two tasks, the ratio is {lead:.2f} ({low:.2f} to {high:.2f}), which tells no more." in SAID and low < 1 < high
    )
    edges = results.grids["relation_composition", "rdt"]
    assert edges.depth95s(edges.headline()).tolist() == [16, 6, 24]
    six, eight = (
        written.points(edges.shares[1, edges.depths.tolist().index(depth), edges.headline()]) for depth in (6, 8)
    )
    assert f"Another has {six}% of 6 edges, 2 times the trained depth, and {eight}% of 8, and one goes to" in SAID
    moves = results.grids["p_hop_induction", "rdt"]
    assert moves.depth95s(moves.headline()).tolist() == [16, 12, 16] and moves.train_max_depth == 3
    told = (
        f"has {written.points(moves.shares[1, -1, moves.headline()])}% of 16 moves and ends at 12, 4 times the trained"
    )
    assert told in SAID
    short = []
    for kind in ("rope", "deep"):
        rows_of = [row for row in most.values() if row[f"transformer_{kind}"] is not None]
        assert all(row[f"transformer_{kind}"] <= row["trained"] for row in rows_of)
        short += [sum(row[f"transformer_{kind}"] < row["trained"] for row in rows_of), len(rows_of)]
    told = "In {} of {} tasks and in {} of {}, respectively, they do not learn the trained depths either."
    assert told.format(*(WORDS[n] for n in short)) in said
    deep = results.grids["khop_context", "transformer_deep"]
    share = {d: deep.pooled[0][at, deep.headline()] / deep.pooled[1][at, deep.headline()]
             for at, d in enumerate(deep.depths.tolist())}  # fmt: skip
    told = (
        "`transformer_deep` gets all questions of 3 hops right, the deepest it was trained on, and "
        f"{written.points(share[4])}% of those of 4 (one seed)."
    )
    assert share[3] == 1 and deep.train_max_depth == 3 and told in said
    few = {}
    for row in most.values():
        grid = results.grids[row["task"], "rdt"]
        fixed = {column.loops: c for c, column in enumerate(grid.columns) if column.halting == "fixed"}
        correct, count = (counted[-1, fixed[max(n for n in fixed if n < grid.depths[-1])]] for counted in grid.pooled)
        few[row["task"]] = 100 * (correct / count - grid.chance[-1])
    over = {task: more for task, more in few.items() if more > 5}
    told = (
        "RDT is at most 5 points above a guess, except in `nested_expression` "
        f"({few['nested_expression']:.1f} points above)"
    )
    assert [*over] == ["nested_expression"] and told in said
    rows_by = {rule: ratio_rows(results, rule) for rule in ("act", "settled")}
    assert all(row["rdt"] == most[row["task"]]["rdt"] for row in rows_by["settled"])
    fall = WORDS[sum(row["rdt"] < most[row["task"]]["rdt"] for row in rows_by["act"])]
    assert f"The halting that it learns (`act`) falls short of that in {fall} (in the median of the seeds)." in said
    grid = results.grids["mod_chain", "rdt"]
    costs = {row["model"]: row["eval_flops"] for row in measure_rows(results, "settled") if row["task"] == "mod_chain"}
    over_deep = costs["rdt"] / costs["transformer_deep"]
    costs = {row["model"]: row["eval_flops"] for row in measure_rows(results) if row["task"] == "mod_chain"}
    all_loops = costs["rdt"] / costs["transformer_deep"]
    assert (
        f"the RDT takes {over_deep:.0f} times the FLOPs of `transformer_deep` when `settled` stops it, and "
        f"{all_loops:.0f} times" in said
    )
    seeds = [len(results.grids[task, "rdt"].runs) for task in RECIPES]
    *most, least = (f"{WORDS[n]} in {WORDS[seeds.count(n)]}" for n in (5, 3, 2, 1) if n in seeds)
    assert f"three of three succeed, up to {100 * (1 - 0.05 ** (1 / 3)):.0f}% of all seeds might still fail" in said
    assert f"the RDT has {', '.join([f'{most[0]} tasks', *most[1:]])} and {least}. They can end far apart:" in said
    staged = WORDS[sum(len(recipe(task, "rdt").task.stages) > 1 for task in RECIPES)]
    asks = WORDS[sum(cls().prefixes for cls in TASKS.values())]
    assert f"in {asks} of the fourteen tasks, and in {staged} it begins at smaller sizes." in said
    parts = [recipe(task, "rdt").architecture for task in RECIPES]
    bare = WORDS[sum(a.adapters == "none" and a.coda_blocks == 0 and a.injection == "normed" for a in parts)]
    local = WORDS[sum(a.local_heads == a.heads for a in parts)]
    assert (
        f"in {bare} tasks it has no adapters, no Coda and a different injection; and in {local} all its heads "
        "are local." in said
    )


def test_the_answer_in_numbers_of_tasks_is_what_the_records_say():
    results, told = Results(read(ROOT / "results/reference/all")), []

    def counts(grids: list, ends: list[int]) -> list[str]:
        times = np.array([end / grid.train_max_depth for end, grid in zip(ends, grids, strict=True)])
        asked = sum(end == grid.depths[-1] for end, grid in zip(ends, grids, strict=True))
        return [str(n) for n in ((times >= 1).sum(), (times > 1).sum(), (times >= 4).sum(), asked)]

    for model in ("rdt", "looped_normed", "gru", "looped", "transformer_deep", "transformer_rope", "transformer"):
        grids = [grid for (_, of), grid in results.grids.items() if of == model]
        ends = [median_low(grid.depth95s(grid.headline()).tolist()) for grid in grids]
        told.append([f"`{model}`", str(len(grids)), *counts(grids, ends)])
    assert told == [[name, *counted] for name, _, *counted in rows(" model | what it is | tasks |")]
    looped = [grid for (_, of), grid in results.grids.items() if of == "looped"]
    best = counts(looped, [best_loops(grid) for grid in looped])
    told = "with the number that is best for it in each task it counts {}, {}, {} and {});".format(*best)
    assert f"Each column counts tasks (for `looped`, with the most loops; {told}" in SAID


def test_the_rdt_needs_loops_as_it_has_steps():
    loops_a_step, by_seed, given, wrong = [], [], [], {"chain_end": "", "tree_path": ""}
    for (_, model), grid in Results(read(ROOT / "results/reference/all")).grids.items():
        if model == "rdt":
            (correct, count), deepest = grid.pooled, int(grid.depths[-1])
            fixed = {column.loops: c for c, column in enumerate(grid.columns) if column.halting == "fixed"}
            given.append((deepest, max(loops for loops in fixed if loops and loops < deepest)))
            fewer = fixed[given[-1][1]]
            guessed = correct[-1, fewer] / count[-1, fewer]
            if grid.task == "nested_expression":
                told = f"{written.points(guessed)}%, a guesser {100 * grid.chance[-1]:.1f}%, and whoever looks"
                assert f"except in `nested_expression`, where it has {told} at the last four steps alone 27%." in SAID
            else:
                assert guessed <= grid.chance[-1] + 0.05
            if grid.task in wrong:
                wrong[grid.task] = f"{100 * guessed:.1f}%"
                assert grid.chance[-1] == 0.5
            loops_a_step.append(used_loops(grid)[-1, grid.headline("settled")] / deepest)
            by_seed += (grid.mean_loops[:, -1, grid.headline("settled")] / deepest).tolist()
    assert (
        "(half as many as steps in three tasks, 10 for 16 in four, 320 for 500 in two, 20 for 24 or 25 and 40" in SAID
    )
    asked = [name for name, cls in TASKS.items() if not cls().prefixes]
    assert (
        asked == ["chain_end", "reachability", "tree_path"]
        and "in eleven of the fourteen tasks it asks for the" in SAID
    )
    more = [name for name, cls in TASKS.items() if cls().stages[-1] != cls()]
    assert sorted(more) == ["p_hop_induction", "reachability", "relation_composition"]
    told = (
        "it asks for the answer of each step, and in two of these (`relation_composition`, "
        "`p_hop_induction`) also for what lies on"
    )
    assert f"{told} the way. In `reachability` it asks for the end of the chain too," in SAID
    told = (
        f"(in `chain_end` and `tree_path` it has {wrong['chain_end']} and {wrong['tree_path']}, where a "
        "guesser has 50%)"
    )
    assert f"48 in the others). With seeds pooled, the RDT is at most 5 points above a guess {told}" in SAID
    assert (
        sorted(given)
        == [(16, 10)] * 4 + [(24, 20)] * 3 + [(25, 20), (40, 20), (48, 40)] + [(160, 80)] * 2 + [(500, 320)] * 2
    )
    assert len(loops_a_step) == 14
    told = f"takes {min(loops_a_step):.1f} to {max(loops_a_step):.1f} loops a step, by `settled`, seeds pooled ("
    assert f"{told}{min(by_seed):.2f} to {max(by_seed):.2f}, seed by seed)." in SAID
    grid = Results(read(ROOT / "results/reference/confirmation")).grids["prefix_sum", "rdt"]
    at, column = grid.depths.tolist().index(120), grid.headline("settled")
    right, asked = grid.correct[:, at, column].sum(), grid.count[:, at, column].sum()
    told = f"{right} of {asked} answers to 120 bits are right after {used_loops(grid)[at, column]:.0f} loops"
    assert told in SAID


def test_what_is_said_of_written_steps_is_what_the_ledger_measured():
    found = read(ROOT / "results/reference/claims").runs
    lines = (ROOT / "results/reference/claims/measures.jsonl").read_text().splitlines()
    written_steps = [line for line in map(json.loads, lines) if line["measure"] == "written"]
    runs = [found[line["run"]] for line in written_steps]
    assert {(run["model"], run["experiment"]["task"]["entities"], run["train_max_depth"]) for run in runs} == {
        ("transformer", 8, 5)
    }
    assert len({run["seed"] for run in runs}) == len(runs) == 10
    right, asked = (sum(line["value"]["40"][part] for line in written_steps) for part in ("correct", "count"))
    assert right == asked == 960
    assert all(line["value"]["40"]["count"] == 96 for line in written_steps), "96 questions, asked of each seed"
    assert SAID.count("among 8 entities, has all 960 answers of 40 hops right,") == 2
    assert "to 96 questions on ten seeds, 8 times as deep." in SAID


@pytest.mark.parametrize("task,enough", [("prefix_sum", True), ("group_word", False), ("carry_chain", False),
                                         ("n_ary_addition", False)])  # fmt: skip
def test_how_far_local_heads_reach_in_few_loops_is_as_is_said(task, enough):
    """Does the last answer depend on the first token, after the loops that were too few? By gradients, not by rule."""
    e = recipe(task, "rdt")
    loops = {160: 80, 40: 20, 48: 40}[e.task.test_depths[-1]]
    row = torch.from_numpy(questions(e.task, e.task.test_depths[-1], 1, 0).tokens)
    model = build("rdt", e.architecture, e.vocabulary, e.train.mean_loops).double().eval()
    noise = torch.Generator().manual_seed(0)  # fresh Blocks write nothing
    for weight in model.parameters():
        weight.data += 0.15 * torch.randn(weight.shape, generator=noise, dtype=weight.dtype)
    seen = []
    model.embed.register_forward_hook(lambda _, __, out: seen.append(out) or out.retain_grad())
    model(row, (loops,))[0, 0, -1].square().sum().backward()
    assert bool(seen[0].grad[0, 0].abs().max() > 0) == enough


def test_what_surplus_loops_cost_the_looped_transformer_is_what_the_records_say():
    results = Results(read(ROOT / "results/reference/all"))
    rules = ({row["task"]: row["looped"] for row in ratio_rows(results, rule)} for rule in (None, "settled"))
    tasks = [task for task, model in results.grids if model == "looped"]
    picked = {task: best_loops(results.grids[task, "looped"]) for task in tasks}

    def listed(words: list[str]) -> str:
        return f"{', '.join(words[:-1])} and {words[-1]}"

    most, settled, best = (listed([str(of[task]) for task in tasks]) for of in (*rules, picked))
    told = f"with the most it reaches {most} in {listed([f'`{task}`' for task in tasks])}, by `settled` {settled}, and"
    assert (
        f"{told} with the one number of loops that is best for it in each, picked by these very depths, {best}." in SAID
    )
    told = "with the one number of loops that is best for it in each task, picked by these very depths, it reaches "
    assert told + listed([f"{picked[task]} in `{task}`" for task in tasks]) + "." in SAID


def test_there_are_as_many_seeds_as_is_said():
    runs = [
        len(g.runs) for (_, model), g in Results(read(ROOT / "results/reference/all")).grids.items() if model != "rdt"
    ]
    assert f"the baselines have {WORDS[min(runs)]} to {WORDS[max(runs)]} (`--section measures` says how many)" in SAID
    preset = [one for one in PRESETS["reference"]() if one.task.name in RECIPES]
    have = {run["run"] for run in runs_of_all()}
    whole = [task for task in RECIPES if all(one.run in have for one in preset if one.task.name == task)]
    told = f"{', '.join(f'`{task}`' for task in whole[:-1])} and `{whole[-1]}`."
    told = f"{WORDS[len(whole)].capitalize()} tasks are complete, with all seven models on all seeds: {told}"
    assert told in SAID
    held: dict[int, list[str]] = {}
    for task in RECIPES:
        runs = Results(read(ROOT / "results/reference/all")).grids[task, "rdt"].runs
        held.setdefault(len(runs), []).append(f"`{task}`")
    words = {5: "five seeds", 4: "four", 3: "three", 2: "two"}
    parts = []
    for seeds in sorted(held, reverse=True)[:-1]:
        *most, last = held[seeds]
        parts.append(f"{words[seeds]} in {', '.join(most)}{' and ' if most else ''}{last}")
    rest, *more = held[min(held)]
    told = f"{ {1: 'one', 2: 'two', 3: 'three'}[min(held)] } in {'the others' if more else rest}"
    assert f"The RDT has {', '.join(parts)}, and {told};" in SAID


@pytest.mark.parametrize("task", HEADLINE)
def test_what_is_said_of_500_steps_is_what_the_records_say(task):
    grid = Results(read(ROOT / "results/reference/all")).grids[task, "rdt"]
    at, said = grid.depths.tolist().index(500), SAID
    assert len(grid.runs) == 5 and 100 * grid.train_max_depth == 500
    for rule in ("1280", "settled"):
        column = grid.headline(rule)
        right, of = grid.correct[:, at, column], grid.count[:, at, column]
        assert f"{right.sum()} of the five seeds' {of.sum()} answers are right" in said
        worst = int(right.argmin())
        if right[worst] < 0.95 * of[worst]:
            rest = f"{right.sum() - right[worst]} of the {of.sum() - of[worst]} of four seeds"
            assert f"{rest}, and {right[worst]} of the {of[worst]} of one" in said
            assert np.delete(right >= 0.95 * of, worst).all()
            first = next(d for d in range(len(grid.depths)) if grid.depth95s(column)[worst] < grid.depths[d])
            held = grid.correct[worst, :, grid.headline("1280")]
            fell = f"below 95% at {grid.depths[first]} steps ({held[first]}, with all loops) after {held[first - 1]} at"
            assert f"{fell} {grid.depths[first - 1]}." in said
    assert f"stops after {round(used_loops(grid)[at, grid.headline('settled')])} of them" in said


def test_what_was_made_anew_is_what_stood_in_the_record():
    """Runs of `all`, carried out once more by one later version: is each question right that was, and no other?"""
    first, again = (read(ROOT / "results/reference" / name) for name in ("all", "again"))
    assert not any(run["git_dirty"] or run["model"] != "rdt" or run["seed"] for run in again.runs.values())
    assert len({run["git_commit"] for run in again.runs.values()}) == 1
    assert all(first.runs[run]["git_commit"] != of["git_commit"] for run, of in again.runs.items())
    held = [
        {(list(records.runs)[cells.run[at]], cells.depth[at], cells.loops[at], cells.rules[cells.halting[at]]):
         (cells.count[at], cells.right[at]) for at in range(len(cells))}
        for records in (first, again) for cells in [records.columns]
    ]  # fmt: skip
    shared = held[0].keys() & held[1].keys()
    assert {run for run, *_ in shared} == {*again.runs} and all(held[0][key] == held[1][key] for key in shared)
    assert all(held[1][key][1] for key in shared) and {key[3] for key in held[1].keys() - shared} == {"oracle"}
    told = f"in {WORDS[len(again.runs)]} tasks, were made anew with one later version ([again](again)):"
    assert f"{told} in each of {len(shared)} cells the same questions are right." in SAID


def test_what_is_said_of_costs_and_of_the_threshold_is_what_the_records_say():
    results = Results(read(ROOT / "results/reference/all"))
    over: dict[str, list[float]] = {}
    for (task, model), grid in results.grids.items():
        over.setdefault(model, []).append(grid.train_flops / results.grids[task, "rdt"].train_flops)
    ends = {model: [f"{end:.2g}" for end in (min(of), max(of))] for model, of in over.items()}
    told = (
        "`transformer_deep` takes {} to {} times as many, `looped` {} to {}, `looped_normed` {} to {}, `gru` {} to {}, "
        "`transformer_rope` {} to {} and `transformer` {} to {}."
    )
    order = ("transformer_deep", "looped", "looped_normed", "gru", "transformer_rope", "transformer")
    assert told.format(*(end for model in order for end in ends[model])) in SAID
    few, many = ends["transformer_rope"]
    assert f"no other positions were tried, and it has {few} to {many} of the RDT's training FLOPs (as many" in SAID
    grids = [results.grids[task, "rdt"] for task in HEADLINE]
    right = [grid.correct[:, grid.depths.tolist().index(500), grid.headline()].tolist() for grid in grids]
    far = [n for of in right for n in of if n >= 0.95 * 128]
    assert len(far) == 9 and far.count(122) == 2 and 121 < 0.95 * 128 < 122
    assert "of the nine seeds at 500 steps two have 122 of 128 right, the least that counts." in SAID


def test_what_is_said_of_the_looped_transformer_with_a_norm_is_what_the_records_say():
    results = Results(read(ROOT / "results/reference/all"))
    most, name = {row["task"]: row for row in ratio_rows(results)}, "looped_normed"
    held = [task for task, model in results.grids if model == name]
    as_deep = [task for task in held if most[task][name] == most[task]["deepest"]]
    lengths = [most[task]["deepest"] for task in as_deep]
    told = (
        f"Of the {len(held)} tasks `looped_normed` reaches the deepest depth asked in "
        f"{len(as_deep)}, the RDT in {sum(most[task]['rdt'] == most[task]['deepest'] for task in held)}."
    )
    assert told in SAID and (min(lengths), max(lengths)) == (16, 500)
    assert set(held) - {*as_deep} == {"khop_context", "n_ary_addition", "reachability", "tree_path"}
    assert (
        "**In four tasks it ends sooner on some seed or on all, in two of them perhaps for want of A and B.**" in SAID
    )
    ends = sorted((g := results.grids["n_ary_addition", name]).depth95s(g.headline()).tolist())
    assert ends == [20, 32, 32] and {most["n_ary_addition"][f"rdt{of}"] for of in ("", " worst")} == {48}
    told = (
        "It goes less far in `n_ary_addition` (32 numbers of 48, and 20 on one seed of three), `reachability` (8 steps "
    )
    told += (
        "on one seed of two, 16 on the other, as the RDT) and `tree_path` (8 and 4; the RDT 16, and 5 on one seed of "
    )
    told += "three),"
    assert f"{told} and is the less robust in" in SAID
    ends = [sorted(grid.depth95s(grid.headline()).tolist())
            for task in ("reachability", "tree_path")
            for grid in (results.grids[task, of] for of in (name, "rdt"))]  # fmt: skip
    assert ends == [[8, 16], [16, 16, 16], [4, 8], [5, 16, 16]]
    assert "It goes to 32 in `n_ary_addition`, and to 20 on one seed of three, where the RDT reaches 48," in SAID
    told = f"goes as deep as was asked, and as the RDT does or further, in {WORDS[len(as_deep)]} of the "
    assert f"{told}{WORDS[len(held)]} tasks, by" in SAID and len(held) == len(RECIPES)
    walks = [results.grids[task, name] for task in ("reachability", "tree_path")]
    right = {depth: [written.points(g.shares[0, g.depths.tolist().index(depth), g.headline()]) for g in walks]
             for depth in (16,)}  # fmt: skip
    assert [g.depth95s(g.headline()).tolist() for g in walks] == [[8, 16], [8, 4]]
    other, five = (written.points(g.shares[1, g.depths.tolist().index(depth), g.headline()])
                   for g, depth in zip(walks, (16, 5), strict=True))  # fmt: skip
    told = f"to 8 in `reachability` and `tree_path` ({right[16][0]}% and {right[16][1]}% of 16; another seed of the "
    told += f"former goes to 16, with {other}% there, one of the latter ends at 4, with {five}% of 5), where the RDT"
    assert f"{told} reaches 16" in SAID
    assert all(recipe(g.task, "rdt").architecture.memory == 0.4 for g in walks) and "A starts at 0.4 beside" in SAID
    scores = [{row["model"]: written.times(row["score"]) for row in suite_rows(results, rule, held)}
              for rule in (None, "settled")]  # fmt: skip
    assert f"`looped_normed` has {scores[0][name]} ({scores[1][name]} by `settled`). On the eight" in SAID
    whole = {row["model"]: row for row in suite_rows(results, None, held)}
    told = f"Their [suite scores](#how-it-is-counted) are {scores[0][name]} and {scores[0]['rdt']}, of at most "
    assert (
        f"{told}{written.times(whole['rdt']['most'])}. The RDT's 1 + score is" in SAID
        and whole[name]["most"] == whole["rdt"]["most"]
    )
    (lead, low, high), stopped = (suite_leads(results, "rdt", name, rule) for rule in (None, "settled"))
    told = (
        f"The RDT's 1 + score is {lead:.2f} times that of `looped_normed`; the 95% interval of this ratio, "
        f"{low:.2f} to {high:.2f}, does"
    )
    assert f"{told} not tell the two apart" in SAID and low < 1 < high
    assert "the ratio is {:.2f} ({:.2f} to {:.2f}), which tells no more.".format(*stopped) in SAID
    assert stopped[1] < 1 < stopped[2]
    edges = results.grids["relation_composition", "rdt"]
    at, full = edges.depths.tolist().index(16), edges.headline()
    told = f"has {edges.correct[0, at, full]} of {edges.count[0, at, full]} right at 16 edges, the least that counts."
    assert f"One of its three seeds there {told}" in SAID and len(edges.runs) == 3
    six, eight = (written.points(edges.shares[1, edges.depths.tolist().index(depth), full]) for depth in (6, 8))
    assert (
        f"Another has {six}% of 6 edges, 2 times the trained depth, and {eight}% of 8, and one goes to the 24" in SAID
    )
    again = Results(read(ROOT / "results/reference/confirmation")).grids["relation_composition", "rdt"]
    at, full = again.depths.tolist().index(20), again.headline()
    assert f"with frozen recipes, has {again.correct[0, at, full]} of {again.count[0, at, full]} right at 20." in SAID
    grids, own = ([results.grids[task, of] for task in HEADLINE] for of in (name, "rdt"))
    right, less = (sum(grid.correct[:, -1, grid.headline()].sum() for grid in of) for of in (grids, own))
    used = [[round(n) for grid in of for n in sorted(grid.mean_loops[:, -1, grid.headline("settled")])]
            for of in (own, grids)]  # fmt: skip
    lost = max((grid.count - grid.correct)[:, -1, grid.headline()].max() for grid in own)
    told = (
        f"of {right} answers `looped_normed` has all right, and the RDT {less}, one seed having {lost} of the "
        f"{right - less} others; over so few seeds that may be chance. The RDT also takes more loops (by "
    )
    assert all(grid.count[:, -1, grid.headline()].tolist() == [128] * 5 for grid in (*grids, *own))
    assert (
        f"{told}`settled`, {min(used[0])} to {max(used[0])} depending on the seed, against {min(used[1])} to "
        f"{max(used[1])} for" in SAID
    )
    assert right == sum(grid.count[:, -1, grid.headline()].sum() for grid in grids) and grids[0].depths[-1] == 500
    told = (
        f"It has all {right} answers of 500 steps right in `khop_facts` and `mod_chain`, of five seeds each (where one "
        "of the RDT's five"
    )
    assert f"{told} seeds ends at 80)" in SAID
    share = [results.grids[task, of].runs[0]["parameters"] / results.grids[task, "rdt"].runs[0]["parameters"]
             for task, of in results.grids if of in ("looped", name)]  # fmt: skip
    assert min(share) > 0.63 and max(share) < 0.76 and SAID.count("65% to 75% of the parameters") == 2
    differ = {task for task in held if most[task][f"{name} worst"] != most[task][f"{name} best"]}
    assert differ == {"khop_context", "n_ary_addition", "reachability", "tree_path"}, "the same on each seed but there"
    grid = results.grids["khop_context", name]
    one, least, other = ({d: written.points(share) for d, share in zip(grid.depths.tolist(), of, strict=True)}
                         for of in grid.shares[[0, 1, 2], :, grid.headline()])  # fmt: skip
    ends = sorted(grid.depth95s(grid.headline()).tolist()), sorted(
        (g := results.grids["khop_context", "rdt"]).depth95s(g.headline()).tolist())  # fmt: skip
    assert ends == ([8, 12, 24], [16, 24, 24])
    told = (
        f"of three one has {one[24]}% of 24, one {other[24]}%, so that it ends at 12, and one {least[12]}% of 12 and "
    )
    assert f"{told}{least[24]}% of 24, so that it ends at 8;" in SAID
    assert "where its three seeds end at 8, 12 and 24 hops and the RDT's at 16, 24 and 24 (" in SAID
    seeds = [len(results.grids[task, name].runs) for task in held]
    told = "in `khop_context`, `n_ary_addition`, `reachability` and `tree_path` "
    told += f"(one in {WORDS[seeds.count(1)]} of the tasks, two in "
    two = [task for task in held if len(results.grids[task, name].runs) == 2]
    *first, last = (f"`{task}`" for task in two)
    told += f"{', '.join(first)} and {last}, five in `khop_facts` and `mod_chain`,"
    assert told in SAID and sorted(seeds)[seeds.count(1) :] == [2] * len(two) + [3] * 5 + [5] * 2
    assert [len(results.grids[task, name].runs) for task in ("khop_facts", "mod_chain")] == [5, 5]
    rest = results.grids["mod_chain", "rdt"]
    assert sorted(rest.depth95s(rest.headline()).tolist()) == [80, 500, 500, 500, 500]
    grids = {task: results.grids[task, name] for task in held}
    ends = {task: sorted(g.depth95s(g.headline("settled")).tolist()) for task, g in grids.items()}
    soon = {task: depths for task, depths in ends.items() if depths[0] < most[task][f"{name} worst"]}
    assert soon == {"carry_chain": [16, 20, 20], "prefix_sum": [40, 160, 160]}
    told = "stops it too soon in `carry_chain`, at 16 to 20, and on one seed of three in `prefix_sum`, at 40."
    assert f"`settled`, whose form was found with the RDT, {told}" in SAID
    far = [results.grids["relation_composition", model] for model in (name, "rdt")]
    ours, theirs = ([written.points(share) for share in grid.shares[:, -1, grid.headline()]] for grid in far)
    assert {int(grid.depths[-1]) for grid in far} == {24}
    told = f"where the RDT has {theirs[0]}%, {theirs[1]}% and {theirs[2]}%, and reaches 16, 6 and 24)"
    assert f"({ours[0]}% and {ours[1]}% of 24 edges, two seeds, {told}" in SAID and (len(ours), len(theirs)) == (2, 3)
    further = [task for task in as_deep if most[task][name] > most[task]["rdt"]]
    assert further == ["relation_composition"]
    told = f"goes further than the RDT in `{further[0]}` (24 edges on two seeds, where the RDT's three reach 6, 16"
    told += " and 24)."
    assert told in SAID
    prompt = [task for task in as_deep if recipe(task, "rdt").architecture.injection == "normed"]
    told = re.search(r"(\w+) with facts in the prompt \(([^)]*)\) among them", SAID)
    assert told[1] == WORDS[len(prompt)] and sorted(re.findall(r"`(\w+)`", told[2])) == sorted(prompt)
    for task, depth in (("chain_end", 16),):
        grid = results.grids[task, name]
        share = written.points(grid.shares[0, grid.depths.tolist().index(depth), grid.headline()])
        assert f"{share}% of {depth} in `{task}`" in SAID
