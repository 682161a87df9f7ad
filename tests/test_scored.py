"""Answers given elsewhere: counted as the oracle says, whatever the file claims, and told line by line where wrong."""

import contextlib
import json
from dataclasses import replace

import numpy as np
import pytest

from evaluate.records import read
from evaluate.scored import score
from evaluate.show.example import lines
from evaluate.show.grid import Results
from evaluate.show.measures import ratio_rows
from tasks import NOT_ASKED, TASKS, TEST, UserError, draw
from tests.fakes import told


def exported(task, depths=None, split="test", count=12):
    return [json.loads(line) for line in lines(task, depths or [task.test_depths[0]], split, 0, count)]


def scored(task, tmp_path, answered):
    path = tmp_path / "answered.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in answered))
    plain = {"name": task.name, "version": task.version}
    run, cells, notes = score(task, plain, path, "mine", 0, 0, (None, None))
    assert all("\n" not in note for note in notes)
    return run, cells


def last(line):
    return line["answers"][max(line["answers"], key=int)]


@pytest.mark.parametrize("name", TASKS)
def test_what_the_oracle_answers_is_right_and_anything_else_is_not(name, tmp_path):
    task = TASKS[name]()
    depth = task.test_depths[0]
    asked = exported(task)
    rows = draw(task, 0, TEST, depth, 0, 12)
    deepest = int(((rows.depths == depth) & task.asked_first(rows.tokens)).sum())
    for given, right in ((lambda line: line["answers"], deepest), (lambda line: {}, 0)):
        run, (cell,) = scored(task, tmp_path, [{**line, "given": given(line)} for line in asked])
        assert (cell.depth, cell.count, cell.correct) == (depth, deepest, right)
        assert (cell.band, cell.halting, cell.run, cell.chance) == ("test", "none", run.run, task.chance)
    in_a_word = [{**line, "given": last(line)} for line in asked]
    if any(line["depths"][max(line["depths"], key=int)] != depth for line in asked):  # the deepest may stand anywhere
        assert name in ("carry_chain", "variable_assignment")
        with pytest.raises(UserError, match="its last question is not its deepest: give the answers by their places"):
            scored(task, tmp_path, in_a_word)
        return
    _, (cell,) = scored(task, tmp_path, in_a_word)
    assert (cell.count, cell.correct) == (12, 12)
    other = [{**line, "given": next(word for word in task.vocabulary if word != last(line))} for line in asked]
    assert scored(task, tmp_path, other)[1][0].correct == 0


def test_one_who_stops_early_is_right_as_often_as_the_oracle_that_stops_early(tmp_path):
    task = TASKS["chain_end"]()
    rows, told, right = draw(task, 0, TEST, 8, 0, 12), [], 0
    for line, tokens, targets, depths in zip(exported(task, [8]), *rows, strict=True):
        guess, new = task.partial(tokens, 5), task.asked_first(tokens[None])[0]
        asked = np.flatnonzero(targets != NOT_ASKED)
        told.append({**line, "given": {str(place): task.vocabulary[guess[place]] for place in asked}})
        right += int((guess == targets)[(depths == 8) & new].sum())
    assert scored(task, tmp_path, told)[1][0].correct == right


def test_a_question_that_stands_there_twice_counts_once(tmp_path):
    task = TASKS["mod_chain"]()
    asked = [{**line, "given": last(line)} for line in exported(task, [2, 10])]
    once, twice = (scored(task, tmp_path, told)[1] for told in (asked, asked + asked))
    assert once == twice and [(cell.depth, cell.band) for cell in once] == [(2, "train"), (10, "test")]


def test_what_a_reader_of_the_counts_should_know_is_told(tmp_path):
    task, path = TASKS["mod_chain"](), tmp_path / "answered.jsonl"
    rows = [{**line, "given": f" {last(line)} "} for line in exported(task, [2, 10], count=12)]
    path.write_text("\n".join(json.dumps(line) for line in [*rows, *rows]) + "\n\n")
    _, cells, notes = score(task, {}, path, "mine", 0, 0, (None, None))
    asked = {line["tokens"] for line in rows}
    assert sum(cell.count for cell in cells) == sum(cell.correct for cell in cells) == len(asked)
    again, few, lacking = notes
    assert again == f"{48 - len(asked)} lines ask what another has asked, and count no second time"
    assert few.startswith("fewer than 20 questions at depth 2, 10: ")
    assert lacking == "not asked at depth 1, 3, 4, 5, 6, 8: how deep it goes is told without them"
    path.write_text("\n".join(json.dumps(line) for line in [*rows, {**rows[-1], "given": "none"}]))
    _, counted, notes = score(task, {}, path, "mine", 0, 0, (None, None))
    assert counted == cells and f"{25 - len(asked)} lines ask what another has asked" in notes[1]
    assert notes[1].endswith("(1 answer otherwise)"), "the first counts, as of a model that draws its answers"


def test_an_answer_that_is_left_out_counts_as_wrong_and_is_told(tmp_path):
    task, path = TASKS["mod_chain"](), tmp_path / "answered.jsonl"
    rows = exported(task, [4], count=30)
    given = [
        {place: word for place, word in row["answers"].items() if n > 3 or word != last(row)}
        for n, row in enumerate(rows)
    ]
    given[4] = {}
    path.write_text("\n".join(json.dumps({**row, "given": answer}) for row, answer in zip(rows, given, strict=True)))
    _, (cell,), notes = score(task, {}, path, "mine", 0, 0, (None, None))
    assert cell.count - cell.correct == 5
    assert "5 lines give no answer to a deepest question of theirs, which counts as wrong" in notes


def test_no_answer_is_a_wrong_one_also_where_the_deepest_question_may_stand_anywhere(tmp_path):
    task, path = TASKS["variable_assignment"](), tmp_path / "answered.jsonl"
    rows = [{**line, "given": line["answers"]} for line in exported(task, [3], count=12)]
    path.write_text("\n".join(map(json.dumps, [*rows[:8], *({**row, "given": None} for row in rows[8:])])))
    _, (cell,), notes = score(task, {}, path, "mine", 0, 0, (None, None))
    assert cell.count - cell.correct >= 4 and cell.correct >= 8
    assert "4 lines give no answer to a deepest question of theirs, which counts as wrong" in notes
    assert not any("no word" in note for note in notes)


def test_lines_that_are_lost_are_missed_and_none_is_an_answer_that_is_wrong(tmp_path):
    """Whoever drops what he could not answer has the rest right."""
    task, path = TASKS["mod_chain"](), tmp_path / "answered.jsonl"
    rows = [{**line, "given": last(line)} for line in exported(task, [4, 6], count=30)]

    def told_of(kept):
        path.write_text("\n".join(map(json.dumps, kept)))
        _, cells, notes = score(task, {}, path, "mine", 0, 0, (None, None))
        return cells, [note for note in notes if "missing" in note]

    assert told_of(rows)[1] == []
    cells, (note,) = told_of(rows[:20] + rows[30:])
    assert "are missing, there are 20 of 30 at 4: what is left out counts neither way" in note
    assert all(cell.correct == cell.count for cell in cells)
    cells, notes = told_of(rows[:20] + [{**row, "given": None} for row in rows[20:30]] + rows[30:])
    assert notes == [] and [cell.count - cell.correct for cell in cells] == [10, 0]
    (note,) = told_of(rows[:20] + rows[:10] + rows[30:])[1]
    assert "there are 20 of 30 at 4: " in note, "who gives some twice lacks others all the same"
    more = [{**line, "given": last(line)} for line in map(json.loads, lines(task, [4], "test", 1, 30))]
    (note,) = told_of(rows[:20] + rows[30:] + more)[1]
    assert "there are 20 of 30 at 4: " in note, "another export fills no gap"
    older = [{name: value for name, value in row.items() if name not in ("row", "of")} for row in rows[:20]]
    assert told_of(older)[1] == []
    with pytest.raises(UserError, match="line 1: of is 'x': leave what `export` wrote"):
        told_of([{**rows[0], "of": "x"}])


def test_tables_tell_which_shallower_depths_a_model_was_not_asked(tmp_path, capsys):
    task, answered = TASKS["mod_chain"](), tmp_path / "answered.jsonl"
    answered.write_text("\n".join(json.dumps({**line, "given": last(line)}) for line in exported(task, [2, 10])))
    made = told(capsys, "score", "mod_chain", str(answered), "--model", "mine", "--out", str(tmp_path / "mine"))
    code, out, _ = told(capsys, "table", str(tmp_path / "mine"))
    assert made[0] == code == 0
    lacking = "mod_chain, mine: seed 0 has no cells of depth 1, 3, 4, 5, 6, 8: how deep it goes is told without them"
    assert lacking in " ".join(out.split())


def test_answers_that_are_no_words_of_the_task_are_told(tmp_path):
    task, path = TASKS["mod_chain"](), tmp_path / "answered.jsonl"
    rows = exported(task, [5], count=30)
    given = ["banana" if n < 4 else last(row) for n, row in enumerate(rows)]
    given[5] = {place: "B" for place in rows[5]["answers"]}
    path.write_text("\n".join(json.dumps({**row, "given": answer}) for row, answer in zip(rows, given, strict=True)))
    _, _, notes = score(task, {}, path, "mine", 0, 0, (None, None))
    assert notes[0] == "5 lines give what is no word of mod_chain, and count as wrong: words are as in `tokens`"


@pytest.mark.parametrize("name", TASKS)
def test_a_row_that_is_none_of_its_task_is_told_and_keeps_nobody_waiting(name, tmp_path):
    task, rng = TASKS[name](), np.random.default_rng(0)
    (line,) = exported(task, count=1)
    for _ in range(40):
        words = line["tokens"].split()
        del words[: rng.integers(9)]
        words[rng.integers(len(words))] = str(rng.choice(task.vocabulary))
        with contextlib.suppress(UserError):
            scored(task, tmp_path, [{**line, "tokens": " ".join(words), "given": {}}])


def test_files_of_the_same_questions_are_compared_one_by_one_and_others_are_not(tmp_path, capsys):
    task, out = TASKS["mod_chain"](), tmp_path / "out"
    asked = exported(task, [5, 10], count=40)
    right, rng = [{**line, "given": last(line)} for line in asked], np.random.default_rng(0)
    some = [{**line, "given": last(line) if rng.random() < 0.7 else "none"} for line in asked]
    for (model, seed), rows in (
        (("a", 0), right),
        (("a", 1), right),
        (("b", 0), some[::-1]),
        (("b", 1), some),
        (("c", 0), some),
        (("c", 1), some[1:]),
    ):
        (tmp_path / f"{model}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        words = ("score", "mod_chain", tmp_path / f"{model}.jsonl", "--model", model, "--seed", seed, "--out", out)
        assert told(capsys, *words)[0] == 0
    for models, paired in (("a,b", True), ("b,c", False), ("a,c", False)):
        rows = json.loads(told(capsys, "compare", out, "--models", models, "--format", "json")[1])
        assert {cell["paired"] for cell in cells_of(rows)} == {paired}, models
    results = Results(read(out))
    one, other = results.grids["mod_chain", "b"], results.grids["mod_chain", "c"]
    assert one.alike and not other.alike
    assert all(first == second for first, second in one.right[:, :, 0].T), "in one order, whatever that of the lines"
    assert other.worth(np.array([True, True]), 0) == other.count.sum()


def cells_of(found):
    if isinstance(found, dict):
        return ([found] if "paired" in found else []) + [cell for part in found.values() for cell in cells_of(part)]
    return [cell for part in found for cell in cells_of(part)] if isinstance(found, list) else []


def test_a_folder_holds_a_task_at_one_size(tmp_path, capsys):
    out, path = tmp_path / "out", tmp_path / "answered.jsonl"
    for modulus, code in ((11, 0), (13, 2)):
        rows = exported(TASKS["mod_chain"](modulus=modulus), [10])
        path.write_text("".join(json.dumps({**line, "given": last(line)}) + "\n" for line in rows))
        words = ("score", "mod_chain", path, "--model", f"m{modulus}", "--out", out, "--task.modulus", modulus)
        said = told(capsys, *words)
        assert said[0] == code, said
    assert "holds mod_chain at other sizes (task.modulus is 11 there, 13 here): choose another --out" in said[2]
    words = ("run", "--preset", "smoke", "--tasks", "mod_chain", "--models", "gru", "--out", out)
    said = told(capsys, *words, "--task.modulus", "13")
    assert said[0] == 2 and "holds mod_chain at other sizes (task.modulus is 11 there, 13 here)" in said[2]


@pytest.mark.parametrize(
    "change,says",
    [
        ({"given": 3}, "line 1: given is 3: allowed is the last answer, or answers by their places"),
        ({"given": 7}, "line 1: given is 7"),
        ({"task": "chain_end"}, "line 1: task is 'chain_end': this is mod_chain"),
        ({"version": 99}, "line 1: version is 99: mod_chain is at 1, export it anew"),
        ({"tokens": "3 +2 blue"}, "line 1: it has the token 'blue'"),
        ({"tokens": " "}, "line 1: it has no token"),
        ({"tokens": 7}, "line 1: tokens is 7"),
        ({"tokens": "+2 3"}, "line 1: it is no row of this task"),
        ({"answers": {}}, "line 1: its answers are not this task's"),
        ({"answers": {"1": "7", "2": "7"}}, "line 1: its answers are not this task's"),
        ({"answers": {"one": "7"}}, "line 1: its answers are not this task's"),
        ({"answers": {"one": None}}, "line 1: its answers are not this task's"),
        ({"depth": 9}, "line 1: depth is 9: its deepest question is of 10"),
        ({"depth": "deep"}, "line 1: depth is 'deep'"),
        ({"depth": True}, "line 1: depth is True"),
        ({"version": True}, "line 1: version is True"),
        ({"given": {"10": 7}}, "line 1: given holds {'10': 7}: allowed are words, at the places of answers"),
        ({"given": {"11": "7"}}, "line 1: given holds {'11': '7'}"),
        ({"given": {"-1": "7"}}, "line 1: given holds {'-1': '7'}"),
    ],
)
def test_what_is_no_answered_question_is_told_by_its_line(change, says, tmp_path):
    task = TASKS["mod_chain"]()
    with pytest.raises(UserError) as told:
        scored(task, tmp_path, [{**line, "given": "1"} | change for line in exported(task, [10], count=2)])
    assert says in str(told.value) and "\n" not in str(told.value)


def test_an_export_that_nobody_has_answered_is_told(tmp_path):
    task = TASKS["mod_chain"]()
    with pytest.raises(UserError, match='line 1: it has no field "given": give the last answer'):
        scored(task, tmp_path, exported(task, [10], count=2))


def test_training_questions_other_sizes_and_empty_files_are_refused(tmp_path):
    task = TASKS["mod_chain"]()
    for asked, asker, says in (
        (exported(task, [5], "train"), task, "it is a question to train on"),
        (exported(task), replace(task, modulus=13), "its answers are not this task's at these sizes"),
        ([], task, "is empty: give a file of answered questions"),
    ):
        with pytest.raises(UserError, match=says):
            scored(asker, tmp_path, [{**line, "given": "1"} for line in asked])
    (tmp_path / "answered.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(UserError, match="line 1: it is no JSON object"):
        score(task, {}, tmp_path / "answered.jsonl", "mine", 0, 0, (None, None))
    with pytest.raises(UserError, match="cannot read"):
        score(task, {}, tmp_path / "none.jsonl", "mine", 0, 0, (None, None))


def test_from_export_to_table_and_no_further(tmp_path, capsys):
    asked, answered, out = tmp_path / "asked.jsonl", tmp_path / "answered.jsonl", tmp_path / "out"
    told(capsys, "export", "mod_chain", "--out", asked, "--depths", "1,2,3,4,5,10,20", "--count", 40)
    rows = [json.loads(line) for line in asked.read_text().splitlines()]
    answered.write_text(
        "".join(json.dumps({**line, "given": last(line)}) + "\n" for line in rows if line["depth"] < 20)
    )
    with open(answered, "a") as file:  # and at depth 20 always the same
        file.writelines(json.dumps({**line, "given": "0"}) + "\n" for line in rows if line["depth"] == 20)
    words = ("score", "mod_chain", answered, "--model", "my-model", "--out", out)
    code, said, err = told(capsys, *words, "--parameters", 1234)
    assert code == 0 and "40 of 40 at 10" in said and f"table {out}" in said, err
    held = {file.name: file.read_bytes() for file in out.iterdir()}
    code, _, err = told(capsys, *words)
    assert code == 2 and "holds my-model on mod_chain, seed 0: all of its depths belong into one FILE" in err
    assert {file.name: file.read_bytes() for file in out.iterdir()} == held
    (row,) = ratio_rows(Results(read(out)))
    assert (row["my-model"], row["deepest"], row["trained"]) == (10, 20, 5)
    said = told(capsys, "table", out)[1]
    assert "mod_chain, my-model: answered elsewhere" in said and " 1k " in said
    assert told(capsys, "report", out)[0] == 0
    page = (out / "report.html").read_text()
    assert "down to depth 10, where the suite trains up to 5" in page and "trained on depths up to" not in page
    assert "mod_chain depth 10, the suite trains to 5" in page
    assert "run_benchmarks.py score mod_chain ANSWERED --model my-model --seed 0 --out results/mod_chain-my-" in page
    code, _, err = told(capsys, "ask", out, "--task", "mod_chain", "--model", "my-model", "--depths", 4)
    assert code == 2 and "my-model answered elsewhere: there is no model here to ask" in err
    for option, says in (
        ("rdt", "no model of the suite"),
        ("a b", "allowed are 1 to 40"),
        ("модель", "allowed are 1 to 40"),
        ("a@b=1", "allowed are"),
        ("a" * 41, "allowed are"),
    ):
        code, _, err = told(capsys, *words[:3], "--model", option, "--out", tmp_path / "new")
        assert code == 2 and says in err and err.count("\n") == 1 and not (tmp_path / "new").exists()
    code, _, err = told(capsys, *words, "--parameters", -1)
    assert code == 2 and "--parameters is -1" in err
    assert told(capsys, *words, "--seed", 2**31)[0] == told(capsys, *words, "--parameters", 10**30)[0] == 2
