"""Every wrong implementation of an equation is caught by its check, which the right one passes."""

import pytest

from mutants import MUTANTS


def test_mutants_are_many_and_named_once():
    names = [m.name for m in MUTANTS]
    assert len(names) == len(set(names)) >= 20


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_mutant_is_caught(mutant):
    mutant.check(mutant.original)
    with pytest.raises(AssertionError):
        mutant.check(mutant.wrong)
