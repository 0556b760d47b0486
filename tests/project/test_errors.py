"""fastgrad's own errors: each is also the builtin that a micrograd program would catch."""

import pytest

from fastgrad import errors
from fastgrad.errors import FastgradError, explain

OWN = [
    thing
    for name in errors.__all__
    if isinstance(thing := getattr(errors, name), type)
    and thing not in (FastgradError, errors.FastgradWarning)
]


@pytest.mark.parametrize("error", OWN)
def test_errors_are_also_builtins(error):
    assert issubclass(error, FastgradError)
    builtin = next(cls for cls in error.__mro__ if cls.__module__ == "builtins")
    assert builtin is not Exception


def test_explain_leaves_out_what_is_not_given():
    assert explain("a", "b") == "expected a, got b"
    assert explain("a", "b", "c") == "expected a, got b (c)"
    assert explain("a", "b", remedy="d") == "expected a, got b; d"
    assert explain("a", "b", "c", "d") == "expected a, got b (c); d"
