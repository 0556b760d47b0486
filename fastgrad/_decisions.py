"""Decisions: what a recording freezes, collected while it runs, and told once when it is over.

A tape holds operations. What the function makes of its Values beyond these (an `if`, a plain
number, a key) came out for the example, and stays so. `Recording` is the recording that hears it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any, Self

from fastgrad._native.graph.recording import (
    graph_reads_now,
    is_internal,
    is_ours,
    leaf_is_held,
    program_level,
    record_enter,
    record_exit,
)
from fastgrad._random import HiddenInputs
from fastgrad.engine import Value
from fastgrad.errors import FastgradWarning, TapeError, explain, printable

if TYPE_CHECKING:
    import dis

__all__ = ["Decision", "Recording", "note_decisions"]

_SELECT = "decide with fastgrad.where, functional.max, min, abs or relu"
_TAKE = "look up with fastgrad.take or functional.one_hot"
_STAY = "compute with Values (functional.exp(v), v.tanh()) and print with repr(v)"
_WORDS = {  # what the hook is told: what people call it, and what to do instead
    "bool": (
        "the truth of a comparison or a Value (if, while, and, in, max, ...)",
        _SELECT,
    ),
    "float": ("float() of a Value", _STAY),
    "data": (".data", _STAY),
    "data =": ("an assignment to .data", "set it outside the function"),
    "format": ("a formatted Value", _STAY),
    "index": ("a Value as an index", _TAKE),
    "int": ("an int made of a Value", _TAKE),
    "item": (".item()", _STAY),
    "round": ("an int made of a Value", "round with functional.round, floor or ceil"),
    "hash": ("a Value as a key of a dict or an entry of a set, found by identity", _TAKE),
    "grad": (".grad", "differentiate the tape: tape.value_and_grad"),
    "tape": (
        "a parameter of a tape that is called with plain numbers",
        "call it with Values: tape(Value(2.0))",
    ),
    "local_grads": (
        "derivatives given as numbers",
        "write the operation with fastgrad.functional, or as a fastgrad.custom",
    ),
    "==": ("== between two Values, which is identity", "compare with functional.eq(a, b)"),
    "__class__": ("the class of an argument, which is no float here", "ask for fastgrad.Value"),
    "no_grad": ("an operation under no_grad", "leave no_grad outside the function"),
    "backward": ("backward()", "differentiate the tape: tape.value_and_grad"),
    "dropout": (
        "numbers that a tape drew for its dropouts, called with plain numbers",
        "call it with Values: tape(Value(2.0))",
    ),
    "random": ("numbers drawn from {}", "draw them outside, and pass them as an argument"),
}
for _what in ("floor", "ceil", "trunc"):
    _WORDS[_what] = _WORDS["round"]
_IDENTITY = ("hash", "==")  # what code for graphs does to Values, too
_OTHER = ("{} of a Value", "compute with the Value itself")


@dataclass(frozen=True)
class Decision:
    """Something that a recording has frozen: see `Tape.decisions`.

    Attributes
    ----------
    what : str
        What was done to a Value: "bool" (its truth, or that of a comparison), "float", "int",
        "item", "round", "index", "data", "data =", "format", "hash", "==" (of two Values),
        "__class__", "grad", "tape" (called with numbers), "detach", "copy", "deepcopy", "pickle",
        "no_grad", "backward", "local_grads"
        and the like; or "random" and "numpy.random": numbers were drawn.
    place : (file, line, function) or None
        Where in the program; None for random numbers.
    """

    what: str
    place: tuple[str, int, str] | None = None

    def __str__(self) -> str:
        words, _ = self._words()
        if self.place is None:
            return printable(words)
        file, line, function = self.place
        return printable(f"{file}:{line} in {function}: {words}")

    @property
    def remedy(self) -> str:
        """What to write instead."""
        return self._words()[1]

    def _words(self) -> tuple[str, str]:
        words, remedy = _WORDS.get(self.what.removeprefix("numpy."), _OTHER)
        return words.format(self.what), remedy


class Recording:
    """A recording as a context manager: it hears what is frozen, and says so when it is over.

    Parameters
    ----------
    name : str
        Of the function, for messages.
    strict : bool
        Raise TapeError, where a decision is made if possible.

    Attributes
    ----------
    hidden : HiddenInputs
        What the dropouts in it multiply with.
    """

    def __init__(self, name: str, strict: bool) -> None:
        self.name, self.strict = name, strict
        self.found: dict[Decision, set[int] | None] = {}  # leaves that were read; None: certain
        self.graph_reads = 0
        self.generators: dict[str, Any] = {}
        self.refusal: TapeError | None = None
        self.hidden = HiddenInputs()

    def __enter__(self) -> Self:
        self.graph_reads = graph_reads_now()
        self.generators = _generators()
        self.hidden.__enter__()
        record_enter(self._hear, self._hear_leaf)  # last: a recording begun is a recording ended
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        record_exit()
        self.hidden.__exit__()
        if isinstance(error, Exception) and error is not self.refusal:
            note_decisions(error, self.decisions())

    def function_returned(self) -> None:
        """Look for random numbers that were drawn; refuse what could not be refused before."""
        for name, state in _generators().items():
            before = self.generators.get(name)
            if before != state if before else not _is_untouched(name):
                self.found[Decision(name)] = None
        if self.strict and (decisions := self.decisions()):
            raise self._refusal(decisions[0])

    def decisions(self) -> list[Decision]:
        """List what has been frozen, in the order in which it was first heard of."""
        is_walk = graph_reads_now() != self.graph_reads  # keys are nodes to who walks over a graph
        return [
            decision
            for decision, leaves in self.found.items()
            if not (decision.what in _IDENTITY and is_walk)
            and (leaves is None or any(map(leaf_is_held, leaves)))
        ]

    def warn(self, decisions: list[Decision]) -> None:
        """Warn of decisions, at the line that called fastgrad."""
        if decisions:
            remedies = "; ".join(dict.fromkeys(decision.remedy for decision in decisions))
            text = (
                f"the tape of {self.name} keeps what came out for the example:{listed(decisions)}\n"
                f"{remedies}; see docs/tapes.md, or pass strict=True to have an error there"
            )
            warnings.warn(text, FastgradWarning, stacklevel=program_level())

    def _hear(self, what: str) -> None:
        frame = sys._getframe(1)
        if what in ("__class__", *_IDENTITY) and is_ours(frame.f_code):
            return
        if what == "__class__" and not _asks_for_a_number(frame):
            return
        decision = Decision(what, _place(frame))
        self.found[decision] = None
        if self.strict and what not in _IDENTITY:  # it shows later whether a graph was walked
            raise self._refusal(decision)

    def _hear_leaf(self, what: str, leaf: int) -> None:
        leaves = self.found.setdefault(Decision(what, _place(sys._getframe(1))), set())
        if leaves is not None:
            leaves.add(leaf)

    def _refusal(self, decision: Decision) -> TapeError:
        words = Decision(decision.what)
        file, line, function = decision.place or ("", 0, "")
        where = f"{file}:{line} in {function}" if file else f"record({self.name}, strict=True)"
        expected = "what a replay can repeat"
        self.refusal = TapeError(explain(expected, str(words), where, decision.remedy))
        return self.refusal


def listed(decisions: list[Decision]) -> str:
    """Return a line for each decision."""
    return "".join(f"\n  {decision}" for decision in decisions)


def note_decisions(error: BaseException, decisions: list[Decision]) -> None:
    """Add to an error what a recording has frozen: that may be why."""
    if decisions:
        error.add_note(f"what the recording has frozen for its example:{listed(decisions)}")


def _place(frame: FrameType) -> tuple[str, int, str]:
    """Return the line of the program that runs; the innermost one if all of them are libraries'."""
    outer: FrameType | None = frame
    while outer is not None and is_internal(outer.f_code):
        outer = outer.f_back
    found = outer or frame
    return found.f_code.co_filename, found.f_lineno, found.f_code.co_qualname


# Random numbers ----------------------------------------------------------------------------------


def _generators() -> dict[str, Any]:
    """Return the states of the global generators, Python's and NumPy's, of those in use."""
    states: dict[str, Any] = {}
    if get := getattr(sys.modules.get("random"), "getstate", None):
        states["random"] = get()
    if get := getattr(sys.modules.get("numpy.random"), "get_state", None):
        states["numpy.random"] = _comparable(get(legacy=False))
    return states


def _comparable(state: Any) -> Any:
    """Return a generator's state in terms that `==` compares."""
    if isinstance(state, dict):
        return tuple((key, _comparable(part)) for key, part in state.items())
    return state.tobytes() if hasattr(state, "tobytes") else state


def _is_untouched(name: str) -> bool:
    """Tell whether a generator, imported meanwhile, stands where it does when just seeded."""
    if name == "random":
        position = sys.modules[name].getstate()[1][-1]
    else:
        position = sys.modules[name].get_state()[2]
    return bool(position >= 623)  # of 624 numbers in a block


# Classes that are asked for ----------------------------------------------------------------------


def _asks_for_a_number(frame: FrameType) -> bool:
    """Tell whether code reads `__class__`, or asks (isinstance, match) for numbers only."""
    import dis

    while frame.f_code.co_name == "__instancecheck__" and frame.f_back:  # of an abstract class
        frame = frame.f_back
    instructions = list(dis.get_instructions(frame.f_code))
    now = next(i for i, one in enumerate(instructions) if one.offset == frame.f_lasti)
    if instructions[now].argval == "__class__":
        return True
    names = (one for one in instructions[:now] if _is_within(one, instructions[now]))
    classes = [kind for thing in _named(names, frame) for kind in _classes(thing)]
    return any(map(_is_number, classes)) and not any(_accepts(kind, Value) for kind in classes)


def _is_within(one: dis.Instruction, whole: dis.Instruction) -> bool:
    """Tell whether an instruction belongs to the expression that another one completes."""
    a, b = one.positions, whole.positions
    if a is None or b is None or None in (*a, *b):
        return False
    return (b.lineno, b.col_offset) <= (a.lineno, a.col_offset) and (
        (a.end_lineno, a.end_col_offset) <= (b.end_lineno, b.end_col_offset)
    )


def _named(instructions: Iterable[dis.Instruction], frame: FrameType) -> Iterator[Any]:
    """Yield what names and attributes of modules stand for."""
    scopes = (frame.f_locals, frame.f_globals, frame.f_builtins)
    thing = None
    for one in instructions:
        names = one.argval if isinstance(one.argval, tuple) else (one.argval,)
        if one.opname == "LOAD_ATTR" and isinstance(thing, ModuleType):
            thing = getattr(thing, one.argval, None)
            yield thing
        elif one.opname.startswith("LOAD_") and one.opname not in ("LOAD_CONST", "LOAD_ATTR"):
            for name in names:
                thing = next((scope[name] for scope in scopes if name in scope), None)
                yield thing


def _classes(thing: Any) -> Iterator[type]:
    if isinstance(thing, type):
        yield thing
    elif isinstance(thing, tuple):
        for part in thing:
            yield from _classes(part)


def _is_number(kind: type) -> bool:
    """Tell whether floats or ints are of a class, or it is one of numbers."""
    if issubclass(kind, int | float | complex) or "numpy.generic" in map(_full_name, kind.__mro__):
        return True
    return _accepts(kind, float) or _accepts(kind, int)


def _accepts(kind: type, other: type) -> bool:
    try:
        return issubclass(other, kind)
    except TypeError:  # a protocol that cannot be asked at run time
        return False


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
