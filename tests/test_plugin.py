"""Plugins: each breach of the contract is named in one line, and what keeps it trains like a built-in task."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import run_benchmarks
from evaluate.run.experiment import Experiment, from_json
from tasks import TASKS, UserError, checks, plugin, task_class
from tasks.graph.khop_facts import KhopFacts


@pytest.fixture(autouse=True)
def no_plugins():
    """Each test starts and ends with the built-in tasks alone."""
    built_in = dict(TASKS)
    yield
    for source in plugin.sources():
        plugin.forget(source.module)
    assert built_in == TASKS


def skeleton(folder: Path, *changes: tuple[str, str]) -> Path:
    """The file that `new-task walk` writes, with some of its text changed."""
    path = folder / "walk.py"
    plugin.write_skeleton("walk", path)
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["batch", "answers", "class_var", "walk"])
def test_a_new_task_may_have_any_name_that_is_free(tmp_path, name):
    plugin.write_skeleton(name, tmp_path / "own.py")
    assert list(plugin.load([str(tmp_path / "own.py")])) == [name]


def told(path: Path) -> str:
    with pytest.raises(UserError) as error:
        plugin.load([path])
    return str(error.value)


RETURN = "        return Batch(tokens, targets, depths)"
CANONICAL = "    # Rows that say the same in another order"
STAGES = "    @property\n    def stages(self):\n        return (self, {})\n\n"
TURNED = [  # a size by which `sample` asks for other answers
    ("places: int = 10", "places: int = 10\n    turned: int = 0"),
    ("targets[:, i + 1] = here", "targets[:, i + 1] = (here + self.turned) % self.places"),
    ("from dataclasses import dataclass", "from dataclasses import dataclass, replace"),
]
FIXED = "fixed_length: ClassVar[bool] = False"

BREACHES = {
    "array is a list": [(RETURN, "        return Batch(tokens.tolist(), targets, depths)")],
    "array is int32": [(RETURN, "        return Batch(tokens, targets.astype(np.int32), depths)")],
    "array has another shape": [(RETURN, "        return Batch(tokens, targets[:, 1:], depths)")],
    "too few rows": [(RETURN, "        return Batch(tokens[1:], targets[1:], depths[1:])")],
    "one row is squeezed": [(RETURN, "        return Batch(*(np.squeeze(a) for a in (tokens, targets, depths)))")],
    "no Batch": [(RETURN, "        return tokens, targets, depths")],
    "token out of the vocabulary": [("self.places + moves]", "self.places + moves + 1]")],
    "answer out of the vocabulary": [("targets[:, i + 1] = here", "targets[:, i + 1] = here + 99")],
    "nothing asked": [(RETURN, "        targets[:] = NOT_ASKED\n" + RETURN)],
    "depth where nothing is asked": [(RETURN, "        depths[:, 0] = 1\n" + RETURN)],
    "oracle disagrees": [('{"step": 1, "jump": 2}', '{"step": 1, "jump": 3}')],
    "oracle counts otherwise": [("depths.append(steps)", "depths.append(min(steps, 3))")],
    "another depth silently": [("moves = rng.integers(3", "depth = min(depth, 5); moves = rng.integers(3")],
    "oracle answers out of the vocabulary": [("self.vocabulary.index(here))", "self.vocabulary.index(here) + 50)")],
    "oracle returns lists": [("Answers(np.array(targets), np.array(depths))", "Answers(targets, depths)")],
    "oracle returns too few": [("Answers(np.array(targets),", "Answers(np.array(targets)[1:],")],
    "oracle returns a pair": [("return Answers(np.array(targets), np.array(depths))", "return targets, depths")],
    "length not fixed": [(FIXED, FIXED.replace("False", "True"))],
    "prefixes not asked": [(RETURN, "        targets[:, 1:-1], depths[:, 1:-1] = NOT_ASKED, 0\n" + RETURN)],
    "global randomness": [("here = rng.integers(", "here = np.random.default_rng().integers(")],
    "rng ignored": [("factor, shift = np.array([1", "rng = np.random.default_rng(0); factor, shift = np.array([1")],
    "memory of another copy": [
        ("rng.integers(self.places, size=count)", "np.random.default_rng(id(self)).integers(self.places, size=count)")
    ],
    "train and test overlap": [
        (CANONICAL, "    def canonical(self, tokens):\n        return np.sort(tokens, axis=0)\n\n" + CANONICAL)
    ],
    "canonical forgets": [
        (CANONICAL, "    def canonical(self, tokens):\n        return tokens[:, :1]\n\n" + CANONICAL)
    ],
    "too few questions": [
        ("size=(count, depth))  # (c", "size=(count, depth)) * 0  # (c"),
        ("rng.integers(self.places, size=count)", "rng.integers(2, size=count)"),
    ],
    "band cannot be had": [("= (1, 2, 3, 4, 5)", "= (0, 1, 2)")],
    "bands overlap": [("= (6, 8)", "= (5, 8)")],
    "what stands behind answers": [
        (RETURN, "        targets[:, 1:] = targets[:, :0:-1].copy()\n" + RETURN),
        ("return Answers(np.array(targets)", "return Answers(np.array([targets[0], *targets[:0:-1]])"),
    ],
    "band is empty": [("= (6, 8)", "= ()")],
    "band is no tuple of ints": [("= (6, 8)", "= (6.0, 8)")],
    "name taken": [('= "walk"', '= "mod_chain"')],
    "name is no name": [('= "walk"', '= "my walk"')],
    "attribute missing": [("    version: ClassVar[int] = 1", "    # version: ClassVar[int] = 1")],
    "version is no number": [("version: ClassVar[int] = 1", 'version: ClassVar[int] = "1"')],
    "word twice": [('"step", "jump", "turn")', '"step", "jump", "turn", "p1")')],
    "word with a space": [('"step", "jump", "turn")', '"step", "jump", "turn", "a b")')],
    "chance is nothing": [("return 1 / self.places", "return 0.0")],
    "chance of another kind": [("return 1 / self.places", "return np.float32(1 / self.places)")],
    "no dataclass": [("@dataclass(frozen=True)", "#")],
    "size that no record holds": [("places: int = 10", "extra: object = None\n    places: int = 10")],
    "no oracle": [("def solve(", "def sovle(")],
    "raises at import": [("@dataclass(frozen=True)", "1 / 0\n\n\n@dataclass(frozen=True)")],
    "leaves at import": [("@dataclass(frozen=True)", "raise SystemExit(0)\n\n\n@dataclass(frozen=True)")],
    "bad syntax": [("class Walk(Task):", "class Walk(Task:")],
    "raises when made": [("if self.places % 2", "self.nothing\n        if self.places % 2")],
    "raises in sample": [
        ("factor, shift = np.array([1", 'raise KeyError("two\\nlines")\n        factor, shift = np.array([1')
    ],
    "raises in solve": [("here = words[0]", "here = words[99]")],
    "raises in vocabulary": [('return (*(f"p{i}"', 'return (*(f"p{nothing}"')],
    "last stage has other rows": [(CANONICAL, STAGES.format("type(self)(places=8)") + CANONICAL)],
    "last stage asks otherwise": [(CANONICAL, STAGES.format("replace(self, turned=1)") + CANONICAL), *TURNED],
    "last stage trains deeper": [
        (CANONICAL, STAGES.format("replace(self, train_depths=(1, 2, 3, 4, 5, 6), selection_depths=(8,))") + CANONICAL),
        ("from dataclasses import dataclass", "from dataclasses import dataclass, replace"),
    ],
    "a stage has other words": [(CANONICAL, STAGES.format("type(self)(places=6), self") + CANONICAL)],
    "a stage answers otherwise": [(CANONICAL, STAGES.format("replace(self, turned=1), self") + CANONICAL), *TURNED],
    "question length that does not divide": [(FIXED, f"question_length: ClassVar[int] = 3\n    {FIXED}")],
    "partial is shorter": [
        (CANONICAL, "    def partial(self, tokens, steps):\n        return tokens[1:]\n\n" + CANONICAL)
    ],
    "recent is no array": [(CANONICAL, "    def recent(self, tokens, steps):\n        return 3\n\n" + CANONICAL)],
    "facts are all": [(CANONICAL, "    facts_length = 9\n\n" + CANONICAL)],
    "facts are half a token": [(CANONICAL, "    facts_length = 0.5\n\n" + CANONICAL)],
    "nothing is asked first": [
        (CANONICAL, "    def asked_first(self, tokens):\n        return np.zeros(tokens.shape, bool)\n\n" + CANONICAL)
    ],
    "canonical works in place": [
        (CANONICAL, "    def canonical(self, tokens):\n        tokens.sort()\n        return tokens\n\n" + CANONICAL)
    ],
    "solve works in place": [("here = words[0]", "here, tokens[0] = words[0], 0")],
    "deepest is no number": [(CANONICAL, "    max_depth = '8'\n\n" + CANONICAL)],
    "size of a kind of its own": [
        ("places: int = 10", "places: int = 10\n    share: float | None = 1.0"),
    ],
    "size of no known type": [
        ("places: int = 10", "places: int = 10\n    share: 'Nothing' = 1"),
    ],
    "size without end": [("places: int = 10", "places: int = 10\n    share: float = float('inf')")],
    "size called as a method": [("places: int = 10", "places: int = 10\n    band: int = 3")],
    "word that cannot be printed": [('"step", "jump", "turn")', '"step", "jump", "turn", "\\u200b")')],
    "stages hold no task": [(CANONICAL, STAGES.format("3") + CANONICAL)],
    "raises in stages": [(CANONICAL, STAGES.format("self.nothing") + CANONICAL)],
}

SAYS = {
    "array is a list": "walk.py: walk: sample at depth 1: Batch.tokens is list: allowed is a numpy array",
    "array is int32": "Batch.targets is int32: allowed is int64",
    "array has another shape": "Batch.targets has shape (24, 1): allowed is (24, length)",
    "too few rows": "with count 24: Batch.tokens has shape (23, 2)",
    "one row is squeezed": "with count 1: Batch.tokens has shape (2,): allowed is (1, length)",
    "no Batch": "returned tuple: allowed is Batch(tokens, targets, depths)",
    "token out of the vocabulary": "Batch.tokens is 13 at position 1 of 'p",
    "answer out of the vocabulary": "allowed is 0 to 12, or -100 where nothing is asked",
    "nothing asked": "sample at depth 1 asks nothing in 'p",
    "depth where nothing is asked": "asks nothing, but its depth is 1",
    "oracle disagrees": "at depth 1: position 1 of 'p3 jump': sample expects p5, solve got p6",
    "oracle counts otherwise": "position 4 of 'p5 step turn turn jump': Batch.depths is 4, but the oracle took 3 steps",
    "another depth silently": "sample at depth 6: the deepest question of 'p",
    "oracle answers out of the vocabulary": "solve got 5",
    "oracle returns lists": "targets is list: allowed is int64 (2,)",
    "oracle returns too few": "targets is int64 (1,): allowed is int64 (2,)",
    "oracle returns a pair": "solve returned tuple: allowed is Answers(targets, depths)",
    "length not fixed": "fixed_length is True, but rows have 2 tokens at depth 1 and 3 at depth 2",
    "prefixes not asked": "prefixes is True, but 'p9 step jump' does not ask depth 1",
    "global randomness": "sample at depth 1 is not reproducible: the same rng gave other tokens, first 'p",
    "rng ignored": "does not draw from its rng: another seed gave the same rows, first 'p",
    "memory of another copy": "is not reproducible",
    "train and test overlap": "canonical of 'p",
    "canonical forgets": "equal, but their answers differ",
    "too few questions": "walk at depth 1 has too few different questions",
    "band cannot be had": "walk has no depth 0: allowed are depths of 1 to 1000000",
    "what stands behind answers": "is answered by what stands behind it, as 'p",
    "bands overlap": "selection_depths begin at 5, but must begin above the deepest of train_depths, 5",
    "band is empty": "selection_depths is empty",
    "band is no tuple of ints": "selection_depths is (6.0, 8): allowed is a tuple of whole numbers",
    "name taken": "the name 'mod_chain' is already taken: choose another",
    "name is no name": "name is 'my walk': allowed are lower-case letters, digits and _",
    "attribute missing": "task class Walk lacks the attribute 'version'",
    "version is no number": "version is '1': allowed is int",
    "word twice": "vocabulary holds 'p1' 2 times: allowed is once",
    "word with a space": "allowed is a tuple of strings without spaces",
    "chance is nothing": "chance is 0.0: allowed is a float above 0 and below 1",
    "chance of another kind": "allowed is a float above 0 and below 1",
    "no dataclass": "Walk is no dataclass: write @dataclass(frozen=True) above it",
    "size that no record holds": "extra is None: allowed is a tuple of whole numbers, a number, bool or str",
    "no oracle": "task class Walk lacks the method 'solve'",
    "raises at import": "walk.py: importing it raised ZeroDivisionError: division by zero (walk.py, line ",
    "leaves at import": "importing it raised SystemExit: 0 (walk.py, line ",
    "bad syntax": "importing it raised SyntaxError: invalid syntax (walk.py, line 23)",
    "raises when made": "Walk() raised AttributeError: 'Walk' object has no attribute 'nothing' (walk.py, line ",
    "raises in sample": r"walk: sample at depth 1 raised KeyError: 'two\nlines' (walk.py, line ",
    "raises in solve": "walk: solve of 'p0 turn' raised IndexError: list index out of range (walk.py, line ",
    "last stage has other rows": "walk: stages end with other tokens than the task's own at depth 1: 'p",
    "last stage asks otherwise": "walk: stages end with other targets than the task's own at depth 1: 'p",
    "last stage trains deeper": "the last stage trains on (1, 2, 3, 4, 5, 6): allowed is (1, 2, 3, 4, 5)",
    "a stage has other words": "walk: a stage has other words: allowed is the vocabulary of the task",
    "a stage answers otherwise": "the oracle disagrees with sample at depth 1",
    "question length that does not divide": "' raised ValueError: cannot reshape",
    "partial is shorter": "walk: partial of 'p",
    "recent is no array": "' is int: allowed is int64 (2,)",
    "facts are all": "walk: facts_length is 9: allowed is 0 to 1",
    "facts are half a token": "walk: facts_length is 0.5: allowed is 0 to 1",
    "nothing is asked first": "walk: asked_first leaves no question of depth 1 in 'p",
    "canonical works in place": "walk: canonical changes the tokens that it is given, 'p",
    "solve works in place": "walk: solve changes the tokens that it is given, 'p",
    "deepest is no number": "walk: max_depth is '8': allowed is a whole number, or None where there is no limit",
    "size of a kind of its own": "share is of type float | None: allowed are int, float, bool, str, tuple[int, ...]",
    "size of no known type": "walk: the types of its sizes raised NameError: name 'Nothing' is not defined",
    "size without end": "walk: share is inf: allowed are finite numbers",
    "size called as a method": "walk: a size may not be called 'band': a Task has something else of that name",
    "word that cannot be printed": "vocabulary holds '\\u200b', which cannot be printed",
    "stages hold no task": "walk: stages is (Walk(",
    "raises in stages": "walk: stages raised AttributeError: 'Walk' object has no attribute 'nothing' (walk.py, line ",
    "raises in vocabulary": "walk: vocabulary raised NameError: name 'nothing' is not defined (walk.py, line ",
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_of_the_contract_is_told_in_one_line(breach, tmp_path):
    path = skeleton(tmp_path, *BREACHES[breach])
    message = told(path)
    assert SAYS[breach] in message and "\n" not in message and message.startswith("walk.py: ")
    assert "walk" not in TASKS and not plugin.sources()
    assert [p.name for p in tmp_path.iterdir()] == ["walk.py"], "no cache is left beside a user's file"


def test_depths_beside_the_bands_are_checked_before_they_are_asked(tmp_path, capsys):
    path = skeleton(tmp_path, ("moves = rng.integers(3", "depth = min(depth, 40); moves = rng.integers(3"))
    out = tmp_path / "rows.jsonl"
    for words in (
        ("show", "walk", "--depth", "41"),
        ("export", "walk", "--out", str(out), "--depths", "5,41"),
        ("audit", "walk", "--depths", "41", "--count", "10"),
    ):
        assert run_benchmarks.main([*words, "--plugin", str(path)]) == 2
        err = capsys.readouterr().err
        assert "walk: sample at depth 41: the deepest question of 'p" in err and err.count("\n") == 1
    assert not out.exists() and run_benchmarks.main(["show", "walk", "--depth", "39", "--plugin", str(path)]) == 0


def test_a_graph_that_is_none_is_told(tmp_path, capsys):
    graph = "    def graph(self, tokens):\n        return {}\n\n"
    for body, says in ((graph, "graph returned dict: allowed is a networkx Graph"),
                       (graph.replace("{}", "self.nothing"), "walk: graph raised AttributeError")):  # fmt: skip
        path = skeleton(tmp_path, (CANONICAL, body + CANONICAL))
        words = ["show", "walk", "--depth", "3", "--png", str(tmp_path / "g.png"), "--plugin", str(path)]
        assert run_benchmarks.main(words) == 2 and says in capsys.readouterr().err
        path.unlink()
        plugin.forget("loopbench_plugin_walk")


def test_files_that_are_no_plugins_are_told(tmp_path):
    assert "no plugin file" in told(tmp_path / "absent.py")
    assert "cannot read the plugin" in told(tmp_path)
    (tmp_path / "empty.py").write_text("from tasks import Task\nfrom tasks.graph.khop_facts import KhopFacts\n")
    assert "no Task in it" in told(tmp_path / "empty.py")
    (tmp_path / "bytes.py").write_bytes(b"\x00\xff")
    assert "bytes.py: importing it raised" in told(tmp_path / "bytes.py")


def test_two_plugins_of_one_file_name_or_one_task_name_are_told(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    first, second = skeleton(tmp_path / "a"), skeleton(tmp_path / "b")
    other = second.rename(second.with_name("other.py"))
    assert plugin.load([first, first]) == ["walk"], "the same file twice is one"
    assert "other.py: the name 'walk' is already taken" in told(other)
    assert "two plugins are called 'walk.py'" in told(other.rename(second))


def test_the_skeleton_keeps_the_contract_and_its_examples_are_true(tmp_path):
    path = skeleton(tmp_path)
    assert plugin.load([path]) == ["walk"]
    task = task_class("walk")(places=6)
    answers = task.solve(np.array([task.vocabulary.index(word) for word in ("p4", "step", "turn", "jump")]))
    shown = " ".join("." if t < 0 else task.vocabulary[t] for t in answers.targets)
    assert shown == ". p5 p0 p2" and ".   p5   p0   p2" in type(task).__doc__
    checks.check(task)
    for refused, why in (("mod_chain", "already taken"), ("My-Walk", "cannot be called"), ("lambda", "cannot be")):
        with pytest.raises(UserError, match=why):
            plugin.write_skeleton(refused, tmp_path / "x.py")
    with pytest.raises(UserError, match="exists already"):
        plugin.write_skeleton("walk2", path)


def test_built_in_tasks_keep_the_contract_that_plugins_must():
    for cls in TASKS.values():
        checks.check(cls())
    with pytest.raises(UserError, match="too few different questions"):
        checks.check(KhopFacts(entities=3, relations=1))


def test_an_experiment_names_the_code_of_its_plugin(tmp_path):
    path = skeleton(tmp_path)
    plugin.load([path])
    first = Experiment(task_class("walk")(), "rdt")
    run = first.run
    assert from_json(json.loads(json.dumps(first.to_json()))) == first
    assert first.to_json()["task"]["plugin"].startswith("walk.py ")
    path.write_text(path.read_text() + "\n# edited\n")
    plugin.load([path])
    assert Experiment(task_class("walk")(), "rdt").run != run, "edited code is another experiment"
    assert "plugin" not in Experiment(TASKS["mod_chain"](), "rdt").to_json()["task"]


def test_new_task_runs_in_worker_processes_and_is_tabled(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_benchmarks.main(["new-task", "ring_walk"]) == 0
    assert "show ring_walk --depth 3 --plugin ring_walk.py" in capsys.readouterr().out
    assert run_benchmarks.main(["list", "--plugin", "ring_walk.py"]) == 0
    assert "ring_walk             a walk round a ring" in capsys.readouterr().out

    words = ["run", "--preset", "smoke", "--plugin", "ring_walk.py", "--tasks", "ring_walk", "--models", "rdt",
             "--seeds", "0,1", "--workers", "2", "--train.steps", "4", "--task.places", "8",
             "--task.test_depths", "10", "--out", "out"]  # fmt: skip
    assert run_benchmarks.main(words) == 0
    shown, told = capsys.readouterr()
    two = r"1 of 2: ring_walk rdt seed \d: ok, 4 steps in \d+ s\n2 of 2: ring_walk rdt seed \d: ok, .*\n"
    assert re.fullmatch(two, told), told
    assert "ring_walk, rdt" in shown and "chance 12.5%" in shown and "seeds 0, 1" in shown
    runs = [json.loads(line) for line in Path("out/runs.jsonl").read_text().splitlines()]
    assert [run["status"] for run in runs] == ["ok", "ok"] and runs[0]["experiment"]["task"]["places"] == 8
    assert run_benchmarks.main(["table", "out"]) == 0, "the table needs no plugin"


def test_a_plugin_is_checked_at_other_sizes_too(tmp_path, capsys):
    shift = "shift = np.array([1, 1, -1]), np.array([1, 2, -1])"
    path = skeleton(tmp_path, (shift, shift.replace("1, 2, -1", "1, 2, 9")))  # right for 10 places only
    words = ["--plugin", str(path), "--task.places", "8"]
    for verb in (["run", "--preset", "smoke", "--out", str(tmp_path / "out")], ["show", "walk", "--depth", "2"]):
        assert run_benchmarks.main([*verb, *words]) == 2
        error = capsys.readouterr().err
        assert "the oracle disagrees with sample" in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_skeleton_has_no_shortcut(tmp_path):
    from evaluate.study.audit import audit, best_shortcut

    plugin.load([skeleton(tmp_path)])
    task = TASKS["walk"]()
    best = best_shortcut(audit(task, (10,), count=200), 10)
    assert best is not None and best["score"] < task.chance + 0.1
