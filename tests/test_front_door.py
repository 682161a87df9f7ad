"""The front door under generated command lines and mangled records: what cannot be done is one line, and no file.

A few of each in the fast tests, a thousand in `make soak`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import faults
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import run_benchmarks
from evaluate.records import NAMES
from evaluate.run import version
from evaluate.run.experiment import Experiment, dotted_fields
from model import MODELS, ModelConfig
from tasks import TASKS
from tests.pages import ROOT

SMALL = [
    "--preset", "smoke", "--device", "cpu", "--workers", "1", "--evaluate.count", "1", "--evaluate.loops", "1",
    "--train.steps", "1", "--train.batch", "2",
]  # fmt: skip
READERS = [verb for verb in ("table", "compare", "report") if verb in run_benchmarks.COMMANDS]
seen: Counter[str] = Counter()


def told(words: list[str]) -> tuple[int, str, str]:
    """Carry out one command line in this process: status, and what it said on either side."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = run_benchmarks.main(words)
        except SystemExit as end:  # --help
            status = end.code if isinstance(end.code, int) else 1
    return status, out.getvalue(), err.getvalue()


def check(words: list[str], place: Path) -> None:
    """Either it was done, or one line says why not and no file is left."""
    before = sorted(place.rglob("*"))
    status, _, err = told(words)
    seen[f"{words[0] if words else ''} {status}"] += 1
    if status:
        assert status == 2 and err.count("\n") == 1 and err.startswith("run_benchmarks.py: "), (words, err)
        assert len(err) < 1000, (words, err)
        assert sorted(place.rglob("*")) == before, (words, sorted(place.rglob("*")))
    assert "Traceback" not in err


# command lines

junk = st.text(max_size=12) | st.sampled_from(["", ",", "nan", "inf", "-1", "0", "1e999", "0x10", "١", "None", "true"])
numbers = st.sampled_from([-1, 0, 1, 2, 3, 4, 5, 8, 10**9, 10**12, 10**30]).map(str)
shares = st.sampled_from(["0", "0.5", "1", "1e-3", "-0.1", "nan", "inf", "1e30", "2"])
tuples = st.lists(st.sampled_from([-1, 0, 1, 2, 3, 5, 9, 12, 10**12]), min_size=1, max_size=4).map(
    lambda numbers: ",".join(map(str, numbers))
)


def rising(most: int) -> st.SearchStrategy[str]:
    depths = st.lists(st.integers(1, most), min_size=1, max_size=3, unique=True)
    return depths.map(lambda numbers: ",".join(map(str, sorted(numbers))))


@st.composite
def overrides(draw, task: str) -> list[str]:
    known = dotted_fields(Experiment(TASKS[task](), "rdt"))
    name = draw(st.sampled_from(sorted(known)))
    kind = known[name]
    parts = {part: st.sampled_from(values) for part, values in ModelConfig.PARTS.items()}
    right = {int: numbers, float: shares, str: parts.get(name.split(".")[1], st.sampled_from(["muon", "adamw"]))}
    value = draw(st.one_of(right.get(kind, tuples | rising(6)), right.get(kind, rising(6)), junk))
    return [f"--{name}={value}"] if draw(st.booleans()) else [f"--{name}", value]


@st.composite
def runs(draw) -> list[str]:
    task = draw(st.sampled_from(sorted(TASKS)))
    model = draw(st.sampled_from([*MODELS, "rdt"]))
    words = ["--tasks", task, "--models", model]
    for _ in range(draw(st.integers(0, 3))):
        words += draw(overrides(task))
    odd = {
        "--seeds": numbers | tuples | junk, "--threads": numbers | junk, "--batch": numbers | junk, "--tasks": junk,
        "--models": junk, "--engine": junk | st.just("local"), "--save-every": shares | junk,
        "--plugin": junk | st.just("/etc/passwd"),
    }  # fmt: skip
    for option in draw(st.lists(st.sampled_from(sorted(odd)), max_size=1)) if draw(st.booleans()) else []:
        words += [option, draw(odd[option])]
    return words


@st.composite
def others(draw) -> list[str]:
    verb = draw(
        st.sampled_from(
            ["show", "export", "score", "table", "list", "new-task", "audit", "bench", "ask", "", "-h", "compare"]
        )
    )
    task = draw(st.sampled_from(sorted(TASKS)) | junk)
    options = {
        "--depth": numbers.filter(lambda text: int(text) < 10**9) | junk,
        "--count": st.sampled_from(["0", "1", "2", "-3", "x"]),
        "--seed": numbers | junk, "--depths": rising(6) | junk, "--split": st.sampled_from(["test", "train", "x"]),
        "--format": st.sampled_from(["json", "github", "plain", "x"]), "--tasks": junk.filter(bool), "--what": junk,
        "--png": st.just("none/x.png"), "--out": st.just("none/file"), "--help": st.just("x"),
    }  # fmt: skip
    words = [verb, task]
    for option in draw(st.lists(st.sampled_from(sorted(options)), max_size=3, unique=True)):
        words += [option, draw(options[option])]
    if verb == "audit":
        words += ["--count", "1", "--depths", draw(rising(3))]
    if verb == "bench":
        words += ["--tasks", ","]
    return words


def drive(examples: int) -> None:
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

    @seed(8)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=quiet)
    @given(words=st.one_of(runs(), runs(), runs(), others()))
    def one(words: list[str]) -> None:
        place = Path(tempfile.mkdtemp())
        before = os.getcwd()
        os.chdir(place)
        try:
            if words[0].startswith("--"):
                words = ["run", *SMALL, *words, "--out", str(place / "out")]
            check(words, place)
        finally:
            os.chdir(before)
            shutil.rmtree(place)

    one()


@pytest.fixture(autouse=True)
def none_seen():
    seen.clear()


def test_twenty_generated_command_lines():
    drive(20)
    assert seen["run 0"] and seen["run 2"]


@pytest.mark.parametrize(
    "words,says",
    [
        (["--train.batch", str(10**12)], "train.batch is 1000000000000: allowed is at most 1000000"),
        (["--architecture.experts", str(10**9)], "architecture.experts is 1000000000: allowed is at most 65536"),
        (["--evaluate.loops", f"1,{10**9}"], "evaluate.loops ends with 1000000000: allowed is at most 1000000"),
        (["--task.test_depths", str(10**9)], "has no depth 1000000000: allowed are depths of 1 to 1000000"),
        (["--architecture.width", "65536", "--architecture.expert_width", "65536"], "and training it takes"),
        (["--threads", str(10**12)], "--threads is 1000000000000: allowed is 1024 or less"),
        (["--engine", "rya"], "unknown engine 'rya': did you mean 'ray'?"),
        (["--save-every", "nan"], "--save-every is nan: allowed is 0 or more"),
    ],
)
def test_numbers_that_no_machine_could_carry_out_are_refused(words, says, tmp_path):
    status, _, err = told(["run", *SMALL, "--tasks", "mod_chain", *words, "--out", str(tmp_path / "out")])
    assert status == 2 and says in err and err.count("\n") == 1 and not list(tmp_path.iterdir())


def test_a_null_character_is_refused_wherever_it_stands(tmp_path):
    """No shell can pass one on, but a program that calls `main` can."""
    of_verbs = [[verb, *words] for verb in run_benchmarks.COMMANDS for words in (["a\0b"], ["--plugin", "\0"])]
    for words in (*of_verbs, ["--out", "\0"], ["\0"]):
        check(words, tmp_path)
        assert told(words)[0] == 2


def test_an_audit_of_too_few_questions_to_learn_from_is_no_crash():
    assert told(["audit", "group_word", "--count", "1", "--depths", "1"])[0] == 0


@pytest.mark.soak
def test_a_thousand_generated_command_lines():
    drive(1000)
    print(f"\ncommand lines by verb and status: {dict(seen)}")


# records


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    out = tmp_path_factory.mktemp("records") / "out"
    assert told([*faults.TINY, "--train.steps", "2", "--workers", "1", "--out", str(out)])[0] == 0
    return {name: (out / name).read_bytes() for name in NAMES}


ODD = [None, True, -1, 0, 1.5, 10**400, 1e308, "", "../../x", "<b>", "\u202e", "x" * 300, [], [1], {}, {"a": 1}]
RAW = [b"NaN", b"Infinity", b"-1e999", b"[" * 5000, b'"\\ud800"', b"\xff\xfe", b"\0", b"9" * 5000, b"\n", b"{", b"\r"]


def mangled(content: bytes, rng: random.Random) -> bytes:
    """A file of records with one thing wrong."""
    how = rng.randrange(8)
    lines = content.splitlines(keepends=True)
    place, at = rng.randrange(len(lines)), rng.randrange(len(content))
    line = json.loads(lines[place])
    if how == 0:
        return content[:at]
    if how == 1:
        return content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
    if how == 2:
        return content[:at] + rng.choice(RAW) + content[at + rng.randrange(3) :]
    if how == 3:
        del line[rng.choice(sorted(line))]
    elif how == 4:
        line[rng.choice(sorted(line))] = rng.choice(ODD)
    elif how == 5:
        name = rng.choice(sorted(line))
        word = json.dumps({name: line[name]})[1:-1]
        raw = json.dumps(line).replace(word, f'"{name}": {rng.choice(["NaN", "Infinity", "1" * 5000, "[" * 3000])}')
        return b"".join([*lines[:place], raw.encode() + b"\n", *lines[place + 1 :]])
    elif how == 6:
        inner = line.get("experiment") or line.get("versions") or {}
        if inner:
            inner[rng.choice(sorted(inner))] = rng.choice(ODD)
    else:
        return b"".join(rng.sample(lines * 2, rng.randrange(len(lines) * 2)))
    return b"".join([*lines[:place], json.dumps(line).encode() + b"\n", *lines[place + 1 :]])


def drive_readers(good: dict[str, bytes], count: int) -> None:
    rng = random.Random(8)
    for number in range(count):
        place = Path(tempfile.mkdtemp())
        try:
            (place / "in").mkdir()
            (place / "good").mkdir()
            which = rng.choice(sorted(good))
            for name, content in good.items():
                (place / "good" / name).write_bytes(content)
                packed = name == which and rng.random() < 0.1
                odd = mangled(content, rng) if name == which else content
                (place / "in" / (f"{name}.gz" if packed else name)).write_bytes(odd)
            for verb in READERS:
                words = {
                    "table": [verb, str(place / "in")],
                    "compare": [verb, str(place / "in"), str(place / "good")],
                    "report": [verb, str(place / "in"), "--out", str(place / "page.html")],
                }[verb]
                try:
                    check(words, place)
                except Exception as error:
                    kept = Path(tempfile.gettempdir()) / f"mangled-{verb}-{number}"
                    shutil.copytree(place / "in", kept, dirs_exist_ok=True)
                    raise AssertionError(f"{verb} of mangled file {number}, kept as {kept}") from error
        finally:
            shutil.rmtree(place)


def test_thirty_mangled_record_files(good):
    drive_readers(good, 30)


@pytest.mark.soak
def test_a_thousand_mangled_record_files(good):
    drive_readers(good, 1000)
    print(f"\nmangled records by verb and status: {dict(seen)}")


def test_whoever_stops_reading_ends_a_verb_that_only_tells_and_a_sweep_says_that_it_is_not_done(tmp_path):
    """As `| head` does."""
    gone = "import sys, run_benchmarks as b\ndef gone(*_):\n    raise BrokenPipeError\n"
    out = str(tmp_path / "out")
    for place, words, status in (
        ("import evaluate.run.sweep as of\nof.sweep = gone\n", ["run", "--preset", "smoke", "--out", out], 2),
        ("import evaluate.study.claims.carry as of\nof.carry = gone\n", ["claims", "1", "--quick", "--out", out], 2),
        ("import evaluate.show.ledger as of\nof.show = gone\n", ["claims", "--show", "results/reference/claims"], 0),
    ):
        code = f"{gone}{place}sys.exit(b.main({words!r}))"
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
        assert ended.returncode == status, ended.stderr
        assert ("stopped, as nobody reads on" in ended.stderr) == (status == 2)


def test_the_commit_of_a_repository_round_this_one_is_not_ours(tmp_path, monkeypatch):
    inner = tmp_path / "thesis/suite"
    inner.mkdir(parents=True)
    line = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path / "thesis")]
    subprocess.run([*line, "init", "-q"], check=True)
    subprocess.run([*line, "commit", "-q", "--allow-empty", "-m", "thesis"], check=True)
    for root, known in ((inner, False), (inner.parent, True)):
        monkeypatch.setattr(version, "ROOT", root)
        assert (version.commit.__wrapped__()[0] is not None) == known
