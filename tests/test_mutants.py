"""The faults of `make mutants` still apply: each changes one place of a file that is then read by Python again."""

import ast

from mutants import LEAST, MUTANTS, ROOT


def test_every_fault_still_applies():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) == LEAST + 2
    for name, file, old, new, test in MUTANTS:
        text = (ROOT / file).read_text()
        assert text.count(old) == 1, f"{name}: {old!r} stands {text.count(old)} times in {file}"
        before, after = (ast.dump(ast.parse(part)) for part in (text, text.replace(old, new)))
        assert before != after, f"{name} changes nothing"
        where, _, rest = test.partition("::")
        assert f"def {rest.partition('[')[0]}(" in (ROOT / "tests" / where).read_text(), f"{name}: no test {test}"
