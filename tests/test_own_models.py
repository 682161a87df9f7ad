"""A user's own models: plugins with MODELS, and the published open-mythos as one of them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import run_benchmarks
from evaluate.run.experiment import Experiment
from evaluate.run.flops import counted
from evaluate.run.own_models import list_own_models
from evaluate.show.command import command
from evaluate.study.bench_model import open_mythos
from model import MODELS, SUMMARIES
from model.stopping import RULES
from tasks import TASKS, UserError, plugin
from tests.pages import README

OWN = '''
import torch
from torch import nn

class Echo(nn.Module):
    """answers by the latest token alone"""

    def __init__(self, config, vocabulary, mean_loops):
        super().__init__()
        self.table = nn.Embedding(vocabulary, vocabulary)

    def forward(self, tokens, loops):
        return torch.stack([self.table(tokens) for _ in loops])

MODELS = {"echo": Echo}
'''


@pytest.fixture(autouse=True)
def clean():
    before = [(kept, dict(kept)) for kept in (MODELS, SUMMARIES)]
    yield
    for kept, held in before:
        kept.clear()
        kept.update(held)
    for source in plugin.sources():
        plugin.forget(source.module)


def listed(tmp_path, code):
    path = tmp_path / "own.py"
    path.write_text(code)
    plugin.load([path])
    return list_own_models()


def run_smoke(tmp_path, code, capsys, *more):
    path, out = tmp_path / "own.py", tmp_path / "out"
    path.write_text(code)
    words = ["run", "--preset", "smoke", "--plugin", str(path), "--tasks", "khop_facts", "--out", str(out), *more]
    status = run_benchmarks.main([*words, "--workers", "1"])
    return status, capsys.readouterr(), out


def test_flops_of_torchs_own_recurrences_and_encoders_are_seen():
    """What a CPU computes in one piece shows no matrix products."""
    row, width = torch.randn(1, 20, 16), 16
    lstm = nn.LSTM(width, width, batch_first=True)
    encoder = nn.TransformerEncoderLayer(width, 2, 4 * width, batch_first=True).eval()
    with torch.no_grad():
        assert counted(lambda: lstm(row)) == 2 * 20 * 8 * width * width
        assert counted(lambda: encoder(row)) == 2 * 20 * 12 * width * width
    assert torch.backends.mha.get_fastpath_enabled() and torch.backends.mkldnn.enabled


@pytest.mark.parametrize("more,answer", [
    ("self.mask = nn.Parameter(torch.ones(99, 99).tril(), requires_grad=False)",
     "(self.table(tokens)[:, None] * (self.mask[: tokens.shape[1], : tokens.shape[1]] != 0)[None, :, :, None]).sum(2)"),
    ("self.spread = nn.Parameter(torch.full((vocabulary,), 0.01))", "self.table(tokens) * self.spread.sqrt()"),
])  # fmt: skip
def test_masks_that_are_no_weights_and_weights_that_stay_positive_are_no_breach(tmp_path, more, answer):
    code = OWN.replace("        self.table = ", f"        {more}\n        self.table = ")
    listed(tmp_path, code.replace("[self.table(tokens) for", f"[{answer} for"))
    assert "echo" in MODELS


def test_an_own_training_is_tried_with_horizons_that_fall_as_they_do_in_training(tmp_path):
    code = OWN.replace("import torch\n", "import torch\nfrom model.rdt import Outputs\n", 1).replace(
        "    def forward",
        "    def training_outputs(self, tokens, horizons, gradient_loops):\n"
        "        assert horizons == sorted(horizons, reverse=True), horizons\n"
        "        return Outputs([self.table(tokens)], [], torch.zeros(()))\n\n    def forward",
    )
    listed(tmp_path, code)
    assert "echo" in MODELS


def test_an_own_model_is_trained_and_told_apart_by_its_code(tmp_path, capsys):
    status, shown, out = run_smoke(tmp_path, OWN, capsys)
    assert status == 0 and "echo" in shown.out
    (run,) = (json.loads(line) for line in (out / "runs.jsonl").read_text().splitlines())
    assert run["model"] == "echo" and run["experiment"]["model_plugin"].startswith("own.py ")
    cells = [json.loads(line) for line in (out / "cells.jsonl").read_text().splitlines()]
    asked = {(cell["halting"], cell["loops"]) for cell in cells}
    assert asked == {*(("fixed", count) for count in (1, 2, 4, 8)), ("oracle", None)}
    status, shown, _ = run_smoke(tmp_path, OWN + "\n# another\n", capsys)
    assert status == 2 and "model_plugin" in shown.err


def test_an_own_model_that_keeps_what_it_computed_stands_beside_the_suites(tmp_path, capsys):
    code = OWN.replace("return torch.stack", "self.kept = self.table(tokens)\n        return torch.stack")
    assert "self.kept" in code
    status, shown, out = run_smoke(tmp_path, code, capsys, "--models", "transformer,echo", "--train.steps", "5")
    assert status == 0, shown.err
    runs = [json.loads(line) for line in (out / "runs.jsonl").read_text().splitlines()]
    assert {run["model"] for run in runs} == {"transformer", "echo"}


@pytest.mark.parametrize(
    "change,says",
    [
        (("self.table(tokens) for", "self.table(tokens.flip(1)) for"), "behind it"),
        (("for _ in loops", "for _ in [1]"), r"gave \(1, 3, 40, 7\): allowed are logits \(4, 3, 40, 7\)"),
        (
            ("self.table(tokens) for", "self.table(tokens) + self.table(tokens).mean(0, keepdim=True) for"),
            "rows beside it",
        ),
        (("self.table(tokens) for", "self.table(tokens) + torch.rand(()) for"), "other logits when it was asked again"),
        (("self.table(tokens) for", "self.table(tokens).detach() for"), "has no gradient"),
        (("self.table(tokens) for", "self.table(tokens) + self.table.weight[tokens.shape[1] - 9] for"), "IndexError"),
        (
            (
                "    def forward",
                "    def training_outputs(self, *asked):\n        return torch.ones(3)\n\n    def forward",
            ),
            r"training_outputs gave \(3,\): allowed is model.rdt.Outputs",
        ),
        (("return torch.stack", "return 1 / 0 * torch.stack"), "ZeroDivisionError"),
        (("for _ in loops", "* len(loops) for _ in loops"), "after 1, 2 and 3 loops depends on how many more"),
        (
            (
                "vocabulary)\n\n    def forward(self, tokens, loops):\n",
                "vocabulary)\n        nn.init.zeros_(self.table.weight)\n\n"
                "    def forward(self, tokens, loops):\n        tokens = tokens.flip(1)\n",
            ),
            "answers a position by what stands behind it",
        ),
        (("self.table = nn", "self.lazy = nn.LazyLinear(3)\n        self.table = nn"), "lazy.weight has no shape yet"),
        (("([self.table(tokens)", "([self.table(tokens)[:, : 40 - self.training]"), r"gave \(3, 39, 7\) in training"),
        (("return torch.stack", "return float('nan') * torch.stack"), "not all finite"),
        (('"echo"', '"rdt"'), "already taken"),
        (('"echo"', '"Echo!"'), "lower-case"),
        (("Echo}", "3}"), "a function that builds it"),
        (("Echo}", "dict}"), "raised TypeError"),
        (('MODELS = {"echo": Echo}', ""), "no Task in it"),
    ],
)
def test_a_model_that_breaks_the_contract_is_refused_in_one_line(tmp_path, capsys, change, says):
    with pytest.raises(UserError, match=says):
        listed(tmp_path, OWN.replace(*change))
    status, shown, out = run_smoke(tmp_path, OWN.replace(*change), capsys)
    assert status == 2 and len(shown.err.strip().splitlines()) == 1 and not out.exists()


def test_a_model_that_answers_alike_after_any_number_of_loops_is_told_so(tmp_path, capsys):
    assert listed(tmp_path, OWN) == ["echo"]
    assert "model 'echo' answers alike however many loops it is asked for" in capsys.readouterr().err
    assert listed(tmp_path, OWN.replace("self.table(tokens) for _", "self.table(tokens) * loop for loop")) == ["echo"]
    without = OWN.replace("    def forward", "    looped = False\n\n    def forward").replace(
        "for _ in loops", "for _ in [1]"
    )
    assert listed(tmp_path, without) == ["echo"] and not capsys.readouterr().err


@pytest.mark.parametrize(
    "workers,what,says",
    [
        ("1", "IndexError('too deep')", "raised IndexError: too deep (own.py, line 14)"),
        ("2", "IndexError('too deep')", "raised IndexError: too deep (own.py, line 14)"),
        ("1", "SystemExit(0)", "raised SystemExit: 0 (own.py, line 14)"),
        ("1", "OSError('no such table')", "raised OSError: no such table (own.py, line 14)"),
        ("2", "MemoryError", " does not fit into memory: smaller --batch"),
        ("1", "RuntimeError('CUDA error: out of memory')", " does not fit into memory: smaller --batch"),
        ("1", "RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when')", " does not fit into memory: smaller"),
    ],
)
def test_a_model_that_fails_when_it_is_asked_is_told_and_does_not_end_the_others(tmp_path, capsys, workers, what, says):
    code = OWN.replace(
        "        return torch.stack",
        f"        if loops[-1] > 80:\n            raise {what}\n        return torch.stack",
    )
    more = ["--evaluate.loops", "1,4,81", "--train.steps", "3", "--models", "echo,gru", "--workers", workers]
    status, shown, out = run_smoke(tmp_path, code, capsys, *more)
    assert status == 2 and "Traceback" not in shown.err
    assert shown.err.endswith(f"1 of 2 runs failed, as told above; what is whole is in {out}\n")
    assert re.search(f"failed: khop_facts echo seed 0 ?{re.escape(says)}", shown.err)
    assert [json.loads(text)["model"] for text in (out / "runs.jsonl").read_text().splitlines()] == ["gru"]


def test_a_run_that_did_not_fit_leaves_its_memory_to_the_next(tmp_path, capsys):
    code = OWN.replace("import torch", "import gc, weakref\nimport torch", 1)
    code = code.replace(
        "        super().__init__()\n",
        "        super().__init__()\n        gc.collect()\n        print('alive', len(NETS))\n        NETS.add(self)\n",
    )
    code = code.replace(
        "        return torch.stack",
        "        if loops[-1] > 80:\n            raise MemoryError\n        return torch.stack",
    )
    code += "NETS = weakref.WeakSet()\n"
    more = ["--evaluate.loops", "1,81", "--train.steps", "3", "--seeds", "0,1,2"]
    status, shown, out = run_smoke(tmp_path, code, capsys, *more)
    assert status == 2 and shown.err.count("does not fit into memory") == 3 and not (out / "runs.jsonl").exists()
    assert shown.err.endswith("3 of 3 runs failed, as told above\n")
    alive = [int(number) for number in re.findall(r"alive (\d+)", shown.out)]
    assert len(alive) > 6 and max(alive) == 1, "a copy, to count FLOPs by, beside the run's own"


def test_a_model_that_cannot_be_built_for_a_task_is_told(tmp_path, capsys):
    code = OWN.replace("        self.table", "        {7: 0}[vocabulary]\n        self.table", 1)
    status, shown, out = run_smoke(tmp_path, code, capsys)
    assert status == 2 and "run_benchmarks.py: model 'echo' raised KeyError: " in shown.err and not out.exists()


def test_a_model_that_gives_fewer_answers_than_numbers_of_loops_is_told(tmp_path, capsys):
    code = OWN.replace("for _ in loops", "for n in loops if n")
    status, shown, _ = run_smoke(tmp_path, code, capsys, "--evaluate.loops", "0,2", "--train.steps", "3")
    assert status == 2 and "Traceback" not in shown.err
    told = "run_benchmarks.py: khop_facts echo seed 0: forward(tokens, (0, 2)) gave logits 1 times: allowed is 2 times"
    assert shown.err.strip().splitlines()[-1].startswith(told)


def test_answers_that_are_no_numbers_are_counted_and_told(tmp_path, capsys):
    code = OWN.replace(
        "self.table(tokens) for _ in", "self.table(tokens) * (float('nan') if n > 3 and len(loops) > 1 else 1) for n in"
    )
    status, shown, out = run_smoke(tmp_path, code, capsys, "--evaluate.loops", "1,81", "--train.steps", "3")
    cells = [json.loads(text) for text in (out / "cells.jsonl").read_text().splitlines()]
    assert status == 0 and {(cell["loops"], cell["not_numbers"] == cell["count"]) for cell in cells} == {
        (1, False), (81, True), (None, False),
    }  # fmt: skip
    lost = sum(cell["not_numbers"] for cell in cells)
    assert lost == sum(cell["count"] for cell in cells if cell["loops"] == 81)
    assert f"ok, 3 steps in 0 s; {lost} answers were no numbers, and count as wrong" in shown.err
    told = f"khop_facts, echo: seed 0 gave {lost} answers that are no numbers (NaN), which count as wrong"
    assert told in " ".join(shown.out.split())


def test_the_model_in_the_readme_is_one(tmp_path):
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "MODELS" in block]
    assert listed(tmp_path, code) == ["mine"]


@pytest.mark.skipif(open_mythos() is None, reason="open-mythos is not installed")
def test_open_mythos_is_a_model_of_the_suite(tmp_path, capsys):
    code = (Path(__file__).parent / "own_mythos.py").read_text()
    assert len(code.splitlines()) <= 30
    status, shown, _ = run_smoke(tmp_path, code, capsys)
    assert status == 0 and "mythos" in shown.out


RULE = '''
import torch
from model import RDT
from model.stopping import RULES

class Eager:
    """stops at once"""

    def __init__(self, model, h, places, answering):
        self.model, self.places, self.answers = model, places, model.read(h, places=places)
        self.loops = torch.zeros(len(self.answers))

    def see(self, h):
        pass

    def used(self):
        return self.loops

    def logits(self):
        return self.answers

RULES["eager"] = Eager
MODELS = {"quick": lambda config, vocabulary, mean_loops: RDT(config, vocabulary)}
'''


@pytest.fixture
def rules():
    held = dict(RULES)
    yield
    RULES.clear()
    RULES.update(held)


@pytest.mark.parametrize(
    "change,says",
    [
        (("return self.answers", "return self.answers.argmax(-1)"), r"logits\(\) gave \(\d+,\): allowed is \(\d+, 7\)"),
        (("return self.answers", "return self.answers[:1]"), r"logits\(\) gave \(1, 7\): allowed is"),
        (("return self.loops", "return 3"), r"used\(\) gave int: allowed is"),
        (("return self.loops", "return self.loops + 1000"), r"used\(\) gave 1000 to 1000 after 4 loops"),
        (("return self.loops", "return self.loops * float('nan')"), r"used\(\) gave nan"),
        (("pass", "self.nothing"), "rule 'eager' raised AttributeError"),
        (('RULES["eager"]', 'RULES["oracle"]'), "rule 'oracle': allowed are .* and none of none, fixed, oracle"),
        (('RULES["eager"]', 'RULES["settled"]'), "rule 'settled': allowed are"),
        (('RULES["eager"]', 'RULES["act"]'), "rule 'act': allowed are"),
    ],
)
def test_a_rule_that_breaks_the_contract_is_refused_in_one_line(tmp_path, rules, change, says):
    assert change[0] in RULE
    with pytest.raises(UserError, match=says):
        listed(tmp_path, RULE.replace(*change))


def test_a_rule_of_a_plugin_is_told_in_the_record_of_every_model_that_may_be_asked_by_it(tmp_path, rules):
    plain = Experiment(TASKS["mod_chain"](), "rdt")
    before = plain.run
    assert "parts_plugin" not in plain.to_json()
    assert listed(tmp_path, RULE) == ["quick"]
    with_rule = plain.to_json()
    (stamp,) = plugin.stamps().values()
    assert with_rule["parts_plugin"] == stamp and plain.run != before
    assert "parts_plugin" not in replace(plain, model="quick").to_json()  # whose plugin is told anyway
    first = plain.run
    listed(tmp_path, RULE + "\n# edited\n")
    assert plain.run not in (first, before)
    shown = command([{"experiment": plain.to_json(), "task": "mod_chain", "model": "rdt", "seed": 0}])
    assert "--plugin own.py" in shown
