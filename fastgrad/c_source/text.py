"""Statements as readable C99, and the elementary functions that they call as one header."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import fastgrad
from fastgrad.c_source.order import Loop, Sum, loops_of
from fastgrad.c_source.statements import (
    ADJOINTS,
    CONSTANTS,
    NUMBERS,
    VALUES,
    Place,
    Program,
    program_of,
)
from fastgrad.errors import FastgradValueError, TapeError, explain, show

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastgrad.c_source.statements import Statement

__all__ = ["FUNCTIONS", "Source", "source_for"]

Readers = dict[Place, set[int]]
FUNCTIONS = "fastgrad_functions.h"
SMALL = 400  # statements of one function: compilers take more than twice the time for twice as many
WIDTH = 96
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")
_LOCAL = {VALUES: "v", ADJOINTS: "d"}

_PRODUCT = """\
/* A partial times an adjoint: what has no influence contributes nothing, be the other infinite. */
static inline double tape_product(double partial, double adjoint) {
    const double y = partial * adjoint;
    return y == y || (partial != 0.0 && adjoint != 0.0) ? y : 0.0;
}
"""
_PART = """\
/* A part of a long function: compilers take long for these, and so are to leave it alone. */
#if defined(__GNUC__)
#define PART static __attribute__((noinline))
#else
#define PART static
#endif
"""
_ENTRY = """\
/* Which of n entries an index names, a negative one from the end; -1 where it names none. */
static inline long tape_entry(double index, long n) {
    long at = -1;
    if (index >= -(double)n && index < (double)n && index == (double)(long)index) at = (long)index;
    else return -1;
    return at < 0 ? at + n : at;
}

static inline double tape_missing(int *status) {
    *status = 1;
    return NAN;
}
"""


@dataclass(frozen=True)
class Source:
    """A tape as C.

    Attributes
    ----------
    code, header : str
        The texts of two files.
    functions : str
        That of the third, `FUNCTIONS`; empty where the code calls none of them.
    name : str
        Of the function for the value; `has_gradient`: there is `<name>_gradient`, too.
    work : int
        Doubles that a call needs to work with.
    """

    code: str
    header: str
    functions: str
    name: str
    has_gradient: bool
    work: int

    def write(self, path: Path, header: Path) -> None:
        """Write the files; the functions' header lies beside the code."""
        header.write_text(self.header, encoding="utf-8")
        if self.functions:
            path.with_name(FUNCTIONS).write_text(self.functions, encoding="utf-8")
        path.write_text(self.code, encoding="utf-8")


def source_for(tape: Any, name: str, header: str, where: str) -> Source:
    """Return the texts of a tape, if it can be written in C: see `Tape.to_c`."""
    if tape.custom_operations:
        got = f"the custom operation {tape.custom_operations[0].name!r}"
        remedy = "write it with fastgrad.functional and without partials"
    elif tape.hidden_inputs():
        got, remedy = "random numbers", "record after model.eval()"
    else:
        if not _IDENTIFIER.match(name) or name in _RESERVED:
            remedy = "pass name=, of letters, digits and _"
            raise FastgradValueError(explain("a name of C", show(name), f"name of {where}", remedy))
        if re.search(r'["\\\n\r]', header):
            expected = "a file name without quotes, backslashes and line ends"
            raise FastgradValueError(explain(expected, show(header), f"header of {where}"))
        return _Writer(tape, program_of(tape), name, header).write()
    raise TapeError(explain("operations that C has", got, where, remedy))


class _Writer:
    def __init__(self, tape: Any, program: Program, name: str, header: str) -> None:
        self.tape, self.program, self.name, self.header = tape, program, name, header
        self.tables = False  # of constants
        self.work = 0

    def write(self) -> Source:
        program = self.program
        values, adjoints, results, covered = loops_of(program)
        if covered * 2 > len(program.values) + len(program.adjoints):
            self.work = self._room()
            parts = [self._looped(values), self._looped(adjoints)]
        else:
            results = program.results
            parts = self._straight()
        helpers, bodies = [], []
        for part, kind in zip(parts, ("value", "adjoint"), strict=True):
            functions, body = self._functions(part, kind)
            helpers += functions
            bodies.append(body)
        results_text = [f"y[{i}] = {self._of(at)};" for i, at in enumerate(results)]
        entries = self._entry("", bodies[0], results_text)
        if program.adjoints:
            entries += "\n" + self._entry("_gradient", [*bodies[0], *bodies[1]], results_text)
        return self._source("\n".join(helpers), entries)

    # -- statements

    def _looped(self, loops: list[Loop]) -> list[list[str]]:
        """Return the lines of statements over arrays, cut into functions' bodies."""
        lines: list[list[str]] = [[]]
        for k, loop in enumerate(loops):
            if k and k % SMALL == 0:
                lines.append([])
            lines[-1] += self._loop(loop)
        return lines

    def _loop(self, loop: Loop) -> list[str]:
        outer = loop.count > 1
        target = self._at(loop.target, loop.step if outer else 0, 0)
        inner = [
            self._term(s, steps if outer else [0] * len(steps))
            for s, steps in zip(loop.sums, loop.steps, strict=True)
        ]
        if all(s.count == 1 for s in loop.sums):
            body = _wrapped(f"{target} = {' + '.join(inner)};")
        else:
            body = ["{", f"    double sum = {inner[0] if loop.sums[0].count == 1 else '0.0'};"]
            for s, text in zip(
                loop.sums[loop.sums[0].count == 1 :],
                inner[loop.sums[0].count == 1 :],
                strict=True,
            ):
                if s.count > 1:
                    body.append(f"    for (int j = 0; j < {s.count}; j++) sum += {text};")
                else:
                    body.append(f"    sum += {text};")
            body += [f"    {target} = sum;", "}"]
        if not outer:
            return body
        first = f"for (int i = 0; i < {loop.count}; i++)"
        if len(body) == 1:
            return (
                [f"{first} {body[0]}"]
                if len(first + body[0]) < WIDTH
                else [first, f"    {body[0]}"]
            )
        if body[0] == "{":
            return [f"{first} {{", *body[1:]]
        return [f"{first} {{", *(f"    {line}" for line in body), "}"]

    def _term(self, one: Sum, outer: Sequence[int]) -> str:
        places = [
            self._at(at, by, step if one.count > 1 else 0)
            for at, by, step in zip(one.places, outer, one.steps, strict=True)
        ]
        return one.text.format(*places)

    def _at(self, place: Place, outer: int, inner: int) -> str:
        """Return an entry of an array; it moves on with i and j."""
        kind, start = place
        moved = "".join(
            f" {'-' if step < 0 else '+'} {'' if abs(step) == 1 else f'{abs(step)} * '}{variable}"
            for step, variable in ((outer, "i"), (inner, "j"))
            if step
        )
        where = moved[3:] if moved.startswith(" + ") and start == 0 else f"{start}{moved}"
        if kind == NUMBERS:
            return f"({where})" if moved else where
        if kind == CONSTANTS and not moved:
            return literal(self.program.constants[start])
        self.tables |= kind == CONSTANTS
        return f"{kind}[{where}]"

    def _of(self, place: Place) -> str:
        return self._local(place) if not self.work else self._at(place, 0, 0)

    def _local(self, place: Place) -> str:
        kind, index = place
        return f"{_LOCAL[kind]}{index}" if kind in _LOCAL else self._at(place, 0, 0)

    def _straight(self) -> list[list[list[str]]]:
        """Return the lines of statements one by one, whose results are variables."""
        program = self.program
        if len(program.values) + len(program.adjoints) <= SMALL:
            return [
                [[line for s in part for line in self._assigned(s, self._local)]]
                for part in (program.values, program.adjoints)
            ]
        self.work = self._room()
        chunks = [
            [part[begin : begin + SMALL] for begin in range(0, len(part), SMALL)]
            for part in (program.values, program.adjoints)
        ]
        numbered = list(enumerate(chunk for part in chunks for chunk in part))
        readers = self._readers(numbered)
        bodies = [self._chunk(chunk, number, readers) for number, chunk in numbered]
        return [bodies[: len(chunks[0])], bodies[len(chunks[0]) :]]

    def _room(self) -> int:
        """Return how many values and adjoints of operations there are."""
        return len(self.program.values) * (2 if self.program.adjoints else 1)

    def _chunk(self, chunk: Sequence[Statement], number: int, readers: Readers) -> list[str]:
        """Return a chunk's lines: variables for what it makes, arrays for what others read, too."""
        here = {s.target for s in chunk}

        def name(place: Place) -> str:
            return self._local(place) if place in here else self._at(place, 0, 0)

        lines: list[str] = []
        for s in chunk:
            lines += self._assigned(s, name)
            if readers.get(s.target, {number}) != {number}:
                lines[-1] += f" {self._at(s.target, 0, 0)} = {name(s.target)};"
        return lines

    def _readers(self, chunks: Iterable[tuple[int, Sequence[Statement]]]) -> Readers:
        """Return the numbers of the chunks that read each place; -1 stands for the results."""
        readers: Readers = {}
        for number, chunk in chunks:
            for s in chunk:
                for _, places in s.terms:
                    for place in places:
                        readers.setdefault(place, set()).add(number)
        for place in self.program.results:
            readers.setdefault(place, set()).add(-1)
        return readers

    def _assigned(self, s: Statement, name: Any) -> list[str]:
        terms = [text.format(*map(name, places)) for text, places in s.terms]
        declared = "const double " if s.target[0] in _LOCAL else ""
        return _wrapped(f"{declared}{name(s.target)} = {' + '.join(terms)};")

    # -- functions

    def _functions(self, bodies: list[list[str]], kind: str) -> tuple[list[str], list[str]]:
        """Give bodies functions where there are many; return these, and what calls them."""
        bodies = [body for body in bodies if body]
        if len(bodies) < 2:
            return [], [line for body in bodies for line in body]
        functions, calls = [], []
        for k, body in enumerate(bodies, 1):
            name = f"{self.name}_{kind}s_{k}"
            functions.append(
                f"PART void {name}({_ALL}) {{\n{self._opening(body)}{_block(body)}}}\n"
            )
            calls.append(f"{name}(x, p, w, g, gx, gp, status);")
        return functions, calls

    def _opening(self, body: list[str]) -> str:
        """Declare what expressions use."""
        text = "\n".join(body)
        lines = ["    long at;\n"] if "(at = " in text else []
        unused = [
            name
            for name in ("x", "p", "w", "g", "gx", "gp", "status")
            if not re.search(rf"\b{name}\b", text)
        ]
        return "".join(lines) + "".join(f"    (void){name};\n" for name in unused)

    def _entry(self, suffix: str, body: list[str], results: list[str]) -> str:
        """Return the text of a function that others call."""
        gradient = bool(suffix)
        values = len(self.program.values) if self.work else 0
        lines = [
            "    int at_fault = 0, *status = &at_fault;\n",
            f"    double *restrict w = work, *restrict g = work + {values};\n",
        ]
        if not gradient:
            lines.append("    double *gx = 0, *gp = 0;\n")
        if self.tape.decisions:
            n = range(len(results))
            results = [*results, *(f"if (!(fabs(y[{i}]) < HUGE_VAL)) *status = 2;" for i in n)]
        body = [*body, *results, "return *status;"]
        opening = f"int {self._signature(gradient)} {{\n{''.join(lines)}{self._opening(body)}"
        return f"{opening}{_block(body)}}}\n"

    def _signature(self, gradient: bool) -> str:
        if gradient:
            return (
                f"{self.name}_gradient(const double *restrict x, const double *restrict p, "
                "double *restrict y,\n    double *restrict gx, double *restrict gp, "
                "double *restrict work)"
            )
        return (
            f"{self.name}(const double *restrict x, const double *restrict p, double *restrict y,\n"
            "    double *restrict work)"
        )

    # -- files

    def _source(self, helpers: str, entries: str) -> Source:
        program, text = self.program, helpers + entries
        rows = [row_text(name) for name in sorted(program.rows) if re.search(rf"\b{name}\(", text)]
        calls = any("fg_" in row for row in rows)
        opening = f"""\
/* {comment(self.tape.name)}: see {comment(self.header)}. Written by fastgrad {fastgrad.__version__}
 * from a tape. Compile with -ffp-contract=off: each operation is rounded by itself. */"""
        parts = [
            opening,
            f'#include "{self.header}"\n\n#include <math.h>'
            + (f'\n\n#include "{FUNCTIONS}"' if calls else ""),
        ]
        if program.parameters:
            numbers = ", ".join(literal(p.data) for p in self.tape.parameters)
            size = f"{self.name}_parameters[{program.parameters}]"
            parts.append("\n".join(_wrapped(f"const double {size} = {{{numbers}}};")))
        if self.tables:
            numbers = ", ".join(map(literal, program.constants))
            parts.append("\n".join(_wrapped(f"static const double c[] = {{{numbers}}};")))
        parts += [row.strip() for row in rows]
        if helpers:
            parts.append(_PART.strip())
        if "tape_product(" in text:
            parts.append(_PRODUCT.strip())
        if "tape_entry(" in text:
            parts.append(_ENTRY.strip())
        parts += [part.strip() for part in (helpers, entries) if part.strip()]
        gradient = bool(program.adjoints)
        return Source(
            "\n\n".join(parts) + "\n", self._header(gradient), functions_text() if calls else "",
            self.name, gradient, self.work,
        )  # fmt: skip

    def _header(self, gradient: bool) -> str:
        program, name = self.program, self.name
        guard = f"{name.upper()}_H"
        arguments = ", ".join(
            f"{comment(argument)}{'' if shape == () else list(shape)}"
            for argument, shape in self.tape.inputs
        )
        decided = (
            "\n * The recording has frozen decisions of the program: a result that is not finite "
            "gives status 2."
            if self.tape.decisions
            else ""
        )
        lines = [
            f"/* {comment(self.tape.name)}({arguments}), with the bits of fastgrad's tape.",
            " *",
            " * x        the numbers of all arguments, in this order, the last axis fastest",
            f" * p        the parameters; {name}_parameters has their data"
            if program.parameters
            else " * p        not read: there are no parameters",
            " * y        set to the results",
            *([" * gx, gp   set to the gradient in arguments and parameters"] if gradient else []),
            f" * work     room for {name.upper()}_WORK doubles, for one call at a time",
            " *",
            f" * Returns 0; 1 where an index names no entry.{decided} */",
            f"#ifndef {guard}",
            f"#define {guard}",
            "",
            "enum {",
            f"    {name.upper()}_INPUTS = {program.inputs},",
            f"    {name.upper()}_PARAMETERS = {program.parameters},",
            f"    {name.upper()}_RESULTS = {len(program.results)},",
            f"    {name.upper()}_WORK = {self.work}",
            "};",
            "",
            *([f"extern const double {name}_parameters[{program.parameters}];", ""]
              if program.parameters else []),
            f"int {self._signature(False)};",
            *([f"int {self._signature(True)};"] if gradient else []),
            "",
            "#endif",
        ]  # fmt: skip
        return "\n".join(lines) + "\n"


_ALL = (
    "const double *restrict x, const double *restrict p, double *restrict w,\n"
    "    double *restrict g, double *restrict gx, double *restrict gp, int *restrict status"
)
_KEYWORDS = """auto break case char const continue default do double else enum extern float for
    goto if inline int long register restrict return short signed sizeof static struct switch
    typedef union unsigned void volatile while"""
_RESERVED = {*_KEYWORDS.split(), "main", "tape_product", "tape_entry", "tape_missing"}


def _block(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in indent("\n".join(lines), "    ").split("\n"))


def _wrapped(line: str) -> list[str]:
    """Break a statement at blanks."""
    lines = []
    while len(line) > WIDTH and (at := line.rfind(" ", 20, WIDTH)) > 0:
        lines.append(line[:at])
        line = "    " + line[at + 1 :]
    return [*lines, line]


def literal(x: float) -> str:
    """Return a double as C reads it, to the bit."""
    if math.isfinite(x):
        return repr(float(x))
    return "NAN" if math.isnan(x) else "HUGE_VAL" if x > 0 else "-HUGE_VAL"


def comment(text: Any) -> str:
    """Return a text that ends no comment and hides nothing in it."""
    return quote(str(text), safe=" .,:=+-()[]<>!&'\"")


# -- the texts of the table and of its functions


def _sources() -> Path:
    """Return the folder that has the native headers: in the package, or in a source tree."""
    package = Path(fastgrad.__file__).resolve().parent
    installed = package / "_native"
    if (installed / "functions").is_dir():
        return installed
    return package.parent / "src" / "fastgrad" / "_native"


def row_text(name: str) -> str:
    """Return the definition of a value or a partial of the table."""
    text = (_sources() / "ops" / "ops.h").read_text("utf-8")
    found = re.search(rf"OP_INLINE (double {name}\(.*?\n}}\n)", text, re.DOTALL)
    return f"static inline {found[1]}"  # type: ignore[index]


def functions_text() -> str:
    """Return all elementary functions as one header."""
    folder = _sources()
    done: set[str] = set()

    def read(name: str) -> str:
        if name in done:
            return ""
        done.add(name)
        text = (folder / name).read_text("utf-8")
        # What loops have inlined is not asked for here.
        text = re.sub(
            r'#if defined\(FASTGRAD_FUNCTIONS_IN_LOOPS\)\n(#include "[^\n]*\n)*#endif\n', "", text
        )
        return re.sub(r'#include "([^"]*)"\n', lambda found: read(found[1]), text)

    return read("functions/functions.h")
