"""The front door: what a user types, and what they are told when it is wrong."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import faults
import pytest
import torch

import run_benchmarks
from evaluate.commands import running
from evaluate.commands.options import DEVICES, tell_unread
from evaluate.commands.running import tell_recipes
from evaluate.run.experiment import as_named
from evaluate.run.presets import PRESETS, RATES
from evaluate.run.sweep import Machine, stoppable
from model import MODELS
from tasks import TASKS, UserError

ROOT = Path(__file__).parent.parent
TINY = [
    "run", "--preset", "smoke", "--tasks", "mod_chain", "--models", "rdt,transformer", "--train.steps", "6",
    "--evaluate.count", "8", "--task.train_depths", "1,5", "--task.selection_depths", "6", "--task.test_depths", "10",
]  # fmt: skip


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "run_benchmarks.py", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, **options
    )


def here(*arguments):
    """`run` in this process, which has loaded what it needs: for tests of what it leaves."""
    return run_benchmarks.main([*map(str, arguments), "--workers", "1"])


def lines(folder, name, without=()):
    found = [json.loads(text) for text in (folder / name).read_text().splitlines()]
    return sorted(json.dumps({k: v for k, v in line.items() if k not in without}, sort_keys=True) for line in found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "first"
    shown = command(*TINY, "--out", out)
    assert shown.returncode == 0, shown.stderr
    told = shown.stderr.splitlines()  # where the output is no terminal: no bar, a line for each run that is written
    assert [line.partition(":")[0] for line in told] == ["1 of 2", "2 of 2"]
    assert all(re.fullmatch(r".*: mod_chain \w+ seed 0: ok, 6 steps in \d+ s", line) for line in told)
    (out / "shown.txt").write_text(shown.stdout)
    return out


def test_run_trains_records_and_shows(folder):
    shown = (folder / "shown.txt").read_text()
    assert "mod_chain, rdt" in shown and "mod_chain, transformer" in shown and "chance 9.1%" in shown
    assert max(map(len, shown[: shown.index("accuracy by band")].splitlines())) <= 110
    assert len(lines(folder, "runs.jsonl")) == 2
    runs = [json.loads(text) for text in lines(folder, "runs.jsonl")]
    assert {run["status"] for run in runs} == {"ok"} and all(run["train_flops"] > 1e6 for run in runs)
    assert all(path.stat().st_size > 10_000 for path in (folder / "plots").glob("*.png"))
    assert len(list((folder / "plots").glob("*.png"))) == len(list((folder / "plots").glob("*.svg"))) == 5
    assert not list(folder.glob("checkpoints/*"))


def test_table_prints_the_same_again_without_torch(folder):
    shown = command("table", folder)
    assert shown.returncode == 0
    assert (folder / "shown.txt").read_text().startswith(shown.stdout.rstrip())
    cells = json.loads(command("table", folder, "--format", "json").stdout)["grid"]
    assert len(cells) == len(lines(folder, "cells.jsonl")) and cells[0]["task"] == "mod_chain"
    assert "|---" in command("table", folder, "--format", "github").stdout


def test_what_is_written_stands_beside_the_audit(folder):
    held = [json.loads(text) for text in (ROOT / "results/reference/audit.jsonl").read_text().splitlines()]
    best = {
        depth: max(row["score"] for row in held if (row["task"], row["depth"]) == ("mod_chain", depth))
        for depth in TASKS["mod_chain"]().test_depths
    }
    cells = [json.loads(text) for text in lines(folder, "cells.jsonl")]
    assert {cell["depth"] for cell in cells} & set(best)
    assert all(cell["shortcut"] == best.get(cell["depth"]) for cell in cells)


def test_the_same_command_gives_the_same_records_in_one_process_or_more(folder, tmp_path):
    assert here(*TINY, "--out", tmp_path / "again", "--batch", "5") == 0
    assert lines(folder, "cells.jsonl") == lines(tmp_path / "again", "cells.jsonl")
    assert lines(folder, "runs.jsonl", ["train_seconds"]) == lines(tmp_path / "again", "runs.jsonl", ["train_seconds"])


def test_a_run_is_not_done_twice_and_new_seeds_are_added(folder, tmp_path, capsys):
    out = shutil.copytree(folder, tmp_path / "out")
    before = (out / "cells.jsonl").read_text()
    assert here(*TINY, "--out", out) == 0 and "2 of 2 runs" in capsys.readouterr().err
    assert (out / "cells.jsonl").read_text() == before
    assert here(*TINY, "--models", "transformer", "--seeds", "0,1", "--out", out) == 0
    after = (out / "cells.jsonl").read_text()
    assert after.startswith(before) and len(lines(out, "runs.jsonl")) == 3
    assert {json.loads(text)["seed"] for text in after.removeprefix(before).splitlines()} == {1}


def test_variants_of_a_model_stand_side_by_side_in_one_folder(tmp_path):
    variants = ["rdt@halting=none", "rdt@train.blank=0@adapters=none"]
    arguments = ["--tasks", "khop_facts", "--models", ",".join(variants), "--architecture.halting", "act"]
    assert here(*TINY[:3], *arguments, "--train.steps", "6", "--out", tmp_path / "v") == 0
    runs = {run["model"]: run["experiment"] for run in map(json.loads, lines(tmp_path / "v", "runs.jsonl"))}
    assert list(runs) == variants
    first, second = (runs[name] for name in variants)
    assert first["architecture"]["halting"] == "none" and second["architecture"]["halting"] == "act"
    assert (
        first["train"]["blank"] > 0 and second["train"]["blank"] == 0 and second["architecture"]["adapters"] == "none"
    )


def test_a_task_that_a_preset_lacks_is_told_to_have_a_recipe_of_its_own(capsys):
    tell_recipes("quick", ["mod_chain", "khop_context", "mine", "chain_end"])
    told = "khop_context, chain_end: not in quick, trained by its settings of khop_facts; by a recipe of its own: "
    assert capsys.readouterr().err == f"{told}--preset reference\n"
    for preset, tasks in (("reference", ["khop_context"]), ("quick", ["mod_chain"]), ("quick", [])):
        tell_recipes(preset, tasks)
        assert capsys.readouterr().err == ""


def test_what_some_models_have_no_use_for_is_told(capsys):
    tell_unread([("architecture.memory", "0.5"), ("train.steps", "2")], ["rdt", "looped", "gru", "rdt"])
    assert capsys.readouterr().err == "--architecture.memory: without effect on looped, gru\n"
    tell_unread([("architecture.width", "32"), ("architecture.halting", "none")], ["rdt"])
    assert capsys.readouterr().err == ""
    tell_unread([(f"architecture.{name}", "1") for name in ("memory", "width", "noise")], ["gru"])
    assert capsys.readouterr().err == "--architecture.memory, --architecture.noise: without effect on gru\n"
    with pytest.raises(UserError, match=r"--architecture\.memory, --architecture\.noise: gru has no use for it"):
        tell_unread([("architecture.memory", "1"), ("architecture.noise", "0")], ["gru"])


def test_claims_are_not_shared_out_by_torchrun(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert run_benchmarks.main(["claims", "1", "--quick", "--out", str(tmp_path / "out")]) == 2
    assert "begin it without torchrun" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_what_torchrun_decides_by_itself_is_refused(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    for option, value in (("workers", "2"), ("engine", "ray")):
        assert run_benchmarks.main([*faults.TINY, f"--{option}", value, "--out", str(tmp_path / "out")]) == 2
        assert f"--{option} is " in (told := capsys.readouterr().err) and "allowed under torchrun is" in told
    monkeypatch.setattr(Machine, "resolve", lambda machine: "cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert run_benchmarks.main([*faults.TINY, "--out", str(tmp_path / "out")]) == 2
    assert "process 2 of 2 here has no GPU: this machine has 1" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_model_of_a_preset_of_variants_keeps_its_own_settings():
    ablation, rates = PRESETS["ablation"](), PRESETS["rates"]()
    plain = running.chosen(ablation, [], ["rdt"])
    assert {e.model for e in plain} == {"rdt"} and {e.train.optimizer for e in plain} == {"muon"}
    sides = running.chosen(ablation, [], ["rdt", "rdt@halting=none", "rdt@train.blank=0.5"])
    assert {e.model for e in sides} == {"rdt", "rdt@halting=none", "rdt@train.blank=0.5"}
    assert {e.train.optimizer for e in sides} == {"muon"} and all(
        e in ablation for e in sides if "blank" not in e.model
    )
    assert running.chosen(rates, [], ["looped"]) == [e for e in rates if e.base == "looped"]
    own = [as_named(e) for e in running.chosen(rates, ["mod_chain", "tree_path"], ["mine", "rdt"])]
    assert len(own) == 16 and {e.task.name for e in own} == {"mod_chain", "tree_path"}
    for e, other in zip(own[:8], own[8:], strict=True):
        assert e.model.replace("mine@", "rdt@") == other.model and e.base == "mine" and e.train == other.train
    with pytest.raises(UserError, match=r"train\.learning_rate is what this preset tries, leave it out"):
        running.chosen(rates, ["mod_chain"], ["rdt@train.learning_rate=0.5"])
    assert {e.train.learning_rate for e in own[:4]} == {float(rate) for _, rate in RATES}


def test_a_variant_that_a_preset_lacks_has_the_settings_of_its_model():
    reference = PRESETS["reference"]()
    wanted = running.chosen(reference, ["mod_chain"], ["rdt@halting=none", "gru@train.batch=64"])
    rates = {(e.base, e.seed): e.train.learning_rate for e in reference if e.task.name == "mod_chain"}
    assert len({rates["rdt", 0], rates["gru", 0]}) == 2 and {e.base for e in wanted} == {"rdt", "gru"}
    assert all(e.train.learning_rate == rates[e.base, e.seed] for e in wanted) and len(wanted) == 10


def test_a_task_that_a_preset_lacks_does_not_take_the_rates_of_another():
    quick = PRESETS["quick"]()
    usual = {(e.train.matrix_learning_rate, e.train.learning_rate) for e in quick if e.model == "rdt"}
    gentler = {(e.train.matrix_learning_rate, e.train.learning_rate) for e in quick if e.model == "gru"}
    assert usual == {(0.03, 0.006)} and gentler == {(0.01, 0.002)}
    moved = {(e.task.name, e.model): (e.train.matrix_learning_rate, e.train.learning_rate)
             for e in running.chosen(quick, ["tree_path", "n_ary_addition", "mod_chain"], [])}  # fmt: skip
    assert {moved["tree_path", model] for model in ("rdt", "gru", "looped", "transformer_deep")} == usual
    assert moved["n_ary_addition", "transformer_rope"] == (0.09, 0.018), "a rate of its own"
    assert {moved["mod_chain", "gru"]} == gentler


def test_noise_is_for_states_that_do_not_grow():
    told = {(e.base, e.architecture.noise) for e in PRESETS["reference"]() if e.task.name == "khop_context"}
    assert {noise for model, noise in told if model == "looped"} == {0.0}
    assert {noise for model, noise in told if model != "looped"} == {0.3}
    held = {e.architecture.noise for e in PRESETS["ablation"]() if e.model == "looped@noise=0.3"}
    assert held == {0.3}, "and a variant says otherwise"


def test_a_confirmation_is_trained_as_the_record_and_asked_what_it_was_not():
    record = {(e.task.name, e.model): e for e in PRESETS["reference"]()}
    for e in PRESETS["confirmation"]():
        was = record.pop((e.task.name, e.model), None) if e.seed == 5 else None
        assert e.seed > 4 and e.evaluate.seed == 1
        if was is not None:
            depths, seen = set(e.task.test_depths), (was.task.train_depths, was.task.selection_depths)
            assert (e.train, e.architecture) == (was.train, was.architecture)
            assert depths.isdisjoint({*was.task.test_depths, *sum(seen, ())}), e.task.name
            asked = {"test_depths": was.task.test_depths, "facts_seed": 0}
            held = {name: value for name, value in asked.items() if hasattr(e.task, name)}
            assert replace(e.task, **held) == was.task
    assert not record


def test_another_experiment_is_refused_and_nothing_is_written(folder, capsys):
    before = {path: path.read_bytes() for path in folder.rglob("*.jsonl")}
    assert here(*TINY, "--out", folder, "--train.batch", "17") == 2
    told = capsys.readouterr().err
    assert "train.batch is 16 there, 17 here" in told and told.count("\n") == 1
    assert here(*TINY, "--out", folder, "--models", "gru", "--task.modulus", "5") == 2
    told = capsys.readouterr().err
    assert "holds mod_chain of other sizes or depths" in told and "(task.modulus is 11 there, 5 here)" in told
    assert {path: path.read_bytes() for path in folder.rglob("*.jsonl")} == before


def test_interrupted_it_leaves_whole_records_and_goes_on(tmp_path):
    # the second run takes so long that a busy machine does not end it before it is told to
    long = [*faults.TINY, "--models", "rdt", "--seeds", "0,1", "--train.steps", "50"]
    out = tmp_path / "cut"
    process = subprocess.Popen(
        [sys.executable, "run_benchmarks.py", *long, "--workers", "1", "--out", str(out)],
        cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job is born deaf to it
    )  # fmt: skip
    while not (out / "runs.jsonl").exists() or not (out / "runs.jsonl").read_text():
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "the same command goes on from there" in told and "Traceback" not in told
    assert all(json.loads(text) for text in (out / "cells.jsonl").read_text().splitlines())
    cut_off = [*long, "--seeds", "1"]
    assert here(*long, "--out", out) == here(*cut_off, "--out", tmp_path / "whole") == 0
    after = [cell for cell in lines(out, "cells.jsonl") if json.loads(cell)["seed"] == 1]
    assert after == lines(tmp_path / "whole", "cells.jsonl") and len(lines(out, "runs.jsonl")) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_ctrl_c_that_python_drops_is_heeded_after_the_run():
    class Torn:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with stoppable() as heed:
            heed()
            torn = Torn()
            del torn  # Python says that it ignores the KeyboardInterrupt, and goes on
            with pytest.raises(KeyboardInterrupt):
                heed()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with stoppable():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN, "who was told not to hear it does not"
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_run_that_diverges_is_recorded_and_the_others_go_on(tmp_path, capsys):
    status = here(*TINY, "--train.learning_rate", "1e30", "--train.warmup", "0", "--train.optimizer", "adamw",
                  "--models", "rdt,transformer", "--out", tmp_path / "d")  # fmt: skip
    shown, told = capsys.readouterr()
    assert status == 0 and re.search(r"mod_chain rdt seed 0: diverged, \d+ steps", told)
    runs = [json.loads(text) for text in lines(tmp_path / "d", "runs.jsonl")]
    assert {run["status"] for run in runs} == {"diverged"} and len(runs) == 2
    assert "no answers from seeds 0 (diverged)" in shown


WRONG = [
    (["run", "--tasks", "khop_fact"], "unknown task 'khop_fact': did you mean 'khop_facts'?"),
    (["run", "--models", "rtd"], "unknown model 'rtd': did you mean 'rdt'?"),
    (["run", "--models", "rtd@halting=none"], "unknown model 'rtd': did you mean 'rdt'?"),
    (
        ["run", "--models", "rdt@haltin=none"],
        "unknown field 'architecture.haltin': did you mean 'architecture.halting'?",
    ),
    (["run", "--models", "rdt@halting"], "model 'rdt@halting' says 'halting': allowed are halting=none,"),
    (["run", "--models", "rdt@task.entities=9"], "says 'task.entities=9': allowed are halting=none,"),
    (["run", "--models", "looped@injection=normed"], "says 'injection=normed': looped has no use for it"),
    (["run", "--models", "gru@train.longest_horizon=9"], "says 'train.longest_horizon=9': gru has no use for it"),
    (["run", "--models", "transformer_deep", "--train.gradient_loops", "9"], "transformer_deep has no use for it"),
    (["run", "--models", "looped", "--architecture.injection", "normed"], "injection: looped has no use for it"),
    (["show-model", "gru", "--architecture.window", "5"], "--architecture.window: gru has no use for it"),
    (["run", "--models", "gru", "--train.steps", "9", "--train.shortest_horizon", "-1"], "shortest_horizon is -1"),
    (["run", "--preset", "quikc"], "unknown preset 'quikc': did you mean 'quick'?"),
    (["run", "--device", "gpu"], "unknown device 'gpu'"),
    (["run", "--device", "cuda"], "device 'cuda' is not on this machine"),
    (["run", "--train.stepz", "3"], "unknown field 'train.stepz': did you mean 'train.steps'?"),
    (["run", "--train.steps", "many"], "train.steps is 'many': allowed is a whole number"),
    (["run", "--train.steps", "0"], "train.steps is 0: allowed is 1 or more"),
    (["run", "--train.steps"], "--train.steps has no value"),
    (["run", "--task.train_depths", "0,1"], "has no depth 0: allowed are depths of 1 to 1000000"),
    (["run", "--task.train_depths", "-3,1"], "has no depth -3"),
    (["run", "--task.modulus", "12"], "unknown field of khop_facts 'task.modulus'"),
    (["run", "--tasks", "mod_chain", "--task.modulus", "12"], "modulus is 12: allowed are the primes"),
    (["run", "--evaluate.loops", "4,2"], "loops is (4, 2): allowed are increasing whole numbers"),
    (["run", "--evaluate.loops", "-1,2"], "loops is (-1, 2)"),
    (["run", "--architecture.width", "30"], "width 30 is not a multiple of heads 4"),
    (["run", "--architecture.injection", "ltl"], "unknown injection 'ltl': did you mean 'lti'?"),
    (["run", "--seeds", "a"], "--seeds is 'a'"),
    (["run", "--seeds", "-1"], "seed is -1"),
    (["run", "--wrokers", "3"], "did you mean --workers?"),
    (["run", "--tasks", ","], "--tasks is ',': allowed are names separated by commas"),
    (["run", "--out", "/proc/nothing"], "cannot write to '/proc/nothing'"),
    (["run", "--out", __file__], "test_command_line.py', a file: allowed is the name of a folder"),
    (["run", "--train.learning_rate", "nan"], "train.learning_rate is nan: allowed is any number above 0"),
    (["run", "--plugin", str(ROOT / "README.md")], "README.md: importing it raised SyntaxError"),
    (["run", "extra"], "unexpected argument 'extra'"),
    (["rum"], "unknown verb 'rum': did you mean 'run'?"),
    (["bench", "--what", "cache", "--preset", "quick"], "--preset: `--what cache` has no use for it"),
    (["bench", "--what", "scaling", "--tasks", "mod_chain"], "--tasks: `--what scaling` has no use for it"),
    (["bench", "--tasks", ""], "--tasks is '': allowed are names separated by commas"),
    (["audit", "mod_chain", "--depths", ""], "--depths is empty: allowed are whole numbers"),
    (["table"], "required: folder"),
    (["table", "no/such/folder"], "no folder 'no/such/folder'"),
]


@pytest.mark.parametrize("arguments,says", WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_mistake_is_told_in_one_line(arguments, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_benchmarks.main(arguments) == 2
    told = capsys.readouterr()
    assert says in told.err and told.err.count("\n") == 1 and told.out == ""
    assert not list(tmp_path.iterdir())


def test_tensorboard_is_an_extra_that_is_asked_for_in_one_line(capsys, monkeypatch, tmp_path):
    from evaluate.run import board

    monkeypatch.setattr(board, "find_spec", lambda name: None)
    assert run_benchmarks.main(["run", "--tensorboard", "--out", str(tmp_path / "a")]) == 2
    told = capsys.readouterr().err
    assert "python -m pip install tensorboard" in told and told.count("\n") == 1


def test_tensorboard_is_told_every_step_that_the_bar_is(tmp_path):
    loading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    assert here(*TINY, "--models", "transformer", "--tensorboard", "--out", tmp_path / "a") == 0
    (run,) = (tmp_path / "a" / "tensorboard").iterdir()
    held = loading.EventAccumulator(str(run)).Reload()
    assert [event.step for event in held.Scalars("loss")] == [6] and held.Scalars("accuracy")[0].value >= 0


def test_the_devices_that_may_be_asked_for_are_those_that_a_machine_looks_for(monkeypatch):
    found = {"auto"}
    for here, away in (("cuda", "mps"), ("mps", "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda here=here: here == "cuda")
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda here=here: here == "mps")
        with pytest.raises(UserError, match=f"device {away!r} is not on this machine: it has ") as refused:
            Machine(away).resolve()
        found |= {*str(refused.value).partition("it has ")[2].split(", ")}
    assert found == {*DEVICES}


def test_list_names_everything(capsys):
    assert run_benchmarks.main(["list"]) == 0
    shown = capsys.readouterr().out
    named = [line.split()[0] for line in shown.splitlines() if line.startswith("  ") and line[2] != " "]
    assert named == [*TASKS, *MODELS, *PRESETS] and max(map(len, shown.splitlines())) <= 80
