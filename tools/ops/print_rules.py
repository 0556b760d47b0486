"""What the table of optimizers becomes: loops in C, classes in Python, a page of documentation."""

from __future__ import annotations

import ast
import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from expression import ExpressionError, parse, to_c

NOTE = "Written by tools/ops/generate.py from fastgrad/rules.py: edit that, then run `make ops`."
_RAISES = "If a hyper-parameter is out of range, or ``params`` is empty or names one twice."
_PARAMS = "What to optimize: see `Optimizer`."

Body = Sequence[ast.stmt]


# -- texts ---------------------------------------------------------------------------------------


def statements(text: str) -> Body:
    """Return the syntax trees of a text of statements."""
    try:
        return ast.parse(text).body
    except SyntaxError as error:
        raise ExpressionError(f"{text!r} is no text of statements: {error.msg}") from None


def _parameters(row: Any) -> list[str]:
    """Return the names of all numbers of a row's hyper-parameters."""
    return [part for hyper in row.hyper for part in hyper.parts]


def _once_names(row: Any) -> list[str]:
    """Return what is the same for all parameters in a step."""
    return [*_parameters(row), "t", "first", *_assigned(statements(row.once))]


def _arrays(row: Any) -> list[str]:
    return ["data", "grad", *(state.name for state in row.state)]


def _assigned(body: Body) -> list[str]:
    """Return the names that statements assign to, in their order."""
    targets = (target for node in _walk(body) if isinstance(node, ast.Assign)
               for target in node.targets)  # fmt: skip
    return list(dict.fromkeys(ast.unparse(target) for target in targets))


def _walk(body: Body) -> Iterator[ast.AST]:
    return itertools.chain.from_iterable(map(ast.walk, body))


def _read(body: Body) -> set[str]:
    """Return the names that occur in statements."""
    return {node.id for node in _walk(body) if isinstance(node, ast.Name)}


def check_row(row: Any, table: Mapping[str, Any]) -> None:
    """Raise ExpressionError, naming the row, where one of its texts is wrong."""
    try:
        _check_names(row)
        if row.base and _parameters(row) != _parameters(table[row.base]):
            raise ExpressionError(f"expected the hyper-parameters of its base {row.base}")
        known = {*_parameters(row), "t", "first"}
        for node in statements(row.once):
            if not isinstance(node, ast.Assign):
                raise ExpressionError(f"`once` is assignments, got {ast.unparse(node)!r}")
            known |= _check_assignment(node, known, {*known, *_arrays(row)})
        _check_body(row, statements(row.each), known | set(_arrays(row)), ())
        for state in row.state:
            parse(state.initial, _parameters(row))
    except ExpressionError as error:
        raise ExpressionError(f"optimizer {row.name!r}: {error}") from None


def _check_names(row: Any) -> None:
    given = [*_parameters(row), *_arrays(row), "t", "first", "i", "n"]
    twice = {name for name in given if given.count(name) > 1}
    if twice or row.hyper[0].name != "lr":
        raise ExpressionError(f"expected names that differ, lr first, got {', '.join(given)}")
    for hyper in row.hyper:
        size = {bool: 0, tuple: 4}.get(type(hyper.default), 2)
        if len(hyper.domain) != size:
            raise ExpressionError(f"{hyper.name}: expected {size} bounds, got {hyper.domain}")


def _check_assignment(node: ast.Assign, known: set[str], taken: set[str]) -> set[str]:
    """Check one assignment that may read `known`; return the name that it adds."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)]) if name not in taken and name != "inf":
            parse(ast.unparse(node.value), sorted(known))
            return {name}
    raise ExpressionError(
        f"expected an assignment to a name that is free, got {ast.unparse(node)!r}"
    )


def _check_body(row: Any, body: Body, known: set[str], conditions: tuple[str, ...]) -> set[str]:
    """Check statements of the loop behind some conditions; return the names that have values."""
    needs = {state.name: state.when for state in row.state}
    once = set(_once_names(row))
    for node in body:
        if isinstance(node, ast.If):
            parse(ast.unparse(node.test), sorted(once))
            inside = (*conditions, ast.unparse(node.test))
            branches = [_check_body(row, node.body, known, inside),
                        _check_body(row, node.orelse, known, conditions)]  # fmt: skip
            known = known | (branches[0] & branches[1])
        elif isinstance(node, ast.Assign):
            known = known | _check_assignment(node, known, once | {"grad"})
        else:
            raise ExpressionError(f"expected assignments and ifs, got {ast.unparse(node)!r}")
        for name in _read([node]) & needs.keys() if isinstance(node, ast.Assign) else ():
            if needs[name] and ast.unparse(parse(needs[name], _parameters(row))) not in conditions:
                raise ExpressionError(f"{name} is used where not `if {needs[name]}`")
    return known


# -- C -------------------------------------------------------------------------------------------


def loops(rows: Sequence[Any]) -> str:
    """Return `loops.h`."""
    lines = [
        f"/* {NOTE}",
        " *",
        " * <rule>_loop: one step over all parameters; its conditions are constant in each call.",
        " * <rule>_any: what is computed once a step, then the loop for the conditions that hold.",
        " * <rule>_state: which arrays of state are asked for, and what each holds at first.",
        " * Included by rules.c alone, which defines the macros that are used here. */",
        "",
    ]
    for row in rows:
        lines += [*_loop(row), *_any(row), *_state(row), *_names(row)]
    lines += ["/* name in C, name of the class */", "#define RULE_EACH(X) \\"]
    each = [f"    X({row.name.lower()}, {row.name})" for row in rows]
    return "\n".join([*lines, " \\\n".join(each)]) + "\n"


def _c(text: str | ast.expr) -> str:
    return to_c(text if isinstance(text, ast.expr) else ast.parse(text, mode="eval").body)


def _tests(body: Body) -> list[str]:
    """Return the conditions of all ifs."""
    tests = (ast.unparse(node.test) for node in _walk(body) if isinstance(node, ast.If))
    return list(dict.fromkeys(tests))


def _switch(test: str) -> str:
    """Return the name in C of a condition that is constant."""
    for sign, word in (("!=", "ne"), ("<=", "le"), (">=", "ge"), ("<", "lt"), (">", "gt")):
        test = test.replace(f" {sign} ", f" {word} ")
    return "if_" + re.sub(r"\W+", "_", test)


def _scalars(row: Any) -> list[str]:
    """Return what the assignments of a row's loop read of all that is the same in a step."""
    nodes = (node for node in _walk(statements(row.each)) if isinstance(node, ast.Assign))
    read = _read(list(nodes))
    return [name for name in _once_names(row) if name in read]


def _loop(row: Any) -> list[str]:
    """Return the loop over all parameters."""
    body = statements(row.each)
    arguments = ["ptrdiff_t n", "double *RESTRICT data", "const double *RESTRICT grad"]
    arguments += [f"double *RESTRICT {state.name}" for state in row.state]
    arguments += [f"double {name}" for name in _scalars(row)]
    arguments += [f"int {_switch(test)}" for test in _tests(body)]
    variables = [name for name in _assigned(body) if name not in _arrays(row)]
    return [
        *_list(f"ALWAYS_INLINE void {row.name.lower()}_loop({', '.join(arguments)}) {{"),
        "    for (ptrdiff_t i = 0; i < n; i++) {",
        f"        double {', '.join(variables)};",
        *_statements(row, body, "        "),
        "    }",
        "}",
        "",
    ]


def _statements(row: Any, body: Body, margin: str) -> list[str]:
    """Return statements in C."""
    elements = {name: ast.Name(f"{name}[i]") for name in _arrays(row)}
    lines = []
    for node in body:
        if isinstance(node, ast.If):
            lines += [f"{margin}if ({_switch(ast.unparse(node.test))}) {{"]
            lines += _statements(row, node.body, margin + "    ")
            if node.orelse:
                lines += [f"{margin}}} else {{"]
                lines += _statements(row, node.orelse, margin + "    ")
            lines += [f"{margin}}}"]
        else:
            target, value = (_elements(part, elements) for part in (node.targets[0], node.value))
            lines += [_fold(f"{margin}{_c(target)} = {_c(value)};")]
    return lines


def _elements(node: ast.expr, elements: Mapping[str, ast.expr]) -> ast.expr:
    """Write data[i] for data in an expression."""

    class Elements(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return elements.get(node.id, node)

    return Elements().visit(node)


def _any(row: Any) -> list[str]:
    """Return the function that makes a step: what is computed once, and a choice of the loop."""
    once, body = statements(row.once), statements(row.each)
    used = _read(once) | _read(body)
    given = ["n", "data", "grad", *(f"state[{i}]" for i in range(len(row.state)))]
    given += [*_scalars(row), "__VA_ARGS__"]
    called = _list(f"{row.name.lower()}_loop({', '.join(given)})", "    ", " \\")
    lines = [f"#define {row.name.upper()}_LOOP(...) \\", *called]
    lines += [f"ALWAYS_INLINE void {row.name.lower()}_any(RULE_PARAMETERS) {{"]
    lines += _declared(row, used)
    lines += ["    const int first = !live;"] if "first" in used else []
    for node in once:
        lines += [f"    const double {ast.unparse(node.targets[0])} = {_c(node.value)};"]
    return [*lines, *_choice(row, body, {}, "    "), "}", ""]


def _declared(row: Any, used: set[str]) -> list[str]:
    """Return the declarations of the hyper-parameters that are used."""
    return [f"    const double {name} = hyper[{place}];"
            for place, name in enumerate(_parameters(row)) if name in used]  # fmt: skip


def _choice(row: Any, body: Body, chosen: dict[str, bool], margin: str) -> list[str]:
    """Return a tree of ifs; behind each of its branches, the loop for the conditions chosen.

    The text is taken apart as it goes, so a condition inside one that does not hold is not asked.
    """
    test = next((ast.unparse(node.test) for node in body if isinstance(node, ast.If)), None)
    if test is None:
        constants = (str(int(chosen.get(t, False))) for t in _tests(statements(row.each)))
        return [f"{margin}{row.name.upper()}_LOOP({', '.join(constants)});"]
    yes, no = (_choice(row, _decided(body, test, holds), {**chosen, test: holds}, margin + "    ")
               for holds in (True, False))  # fmt: skip
    if len(yes) == len(no) == 1:
        return [f"{margin}if ({_c(test)}) {yes[0].strip()}", f"{margin}else {no[0].strip()}"]
    return [f"{margin}if ({_c(test)}) {{", *yes, f"{margin}}} else {{", *no, f"{margin}}}"]


def _decided(body: Body, test: str, holds: bool) -> list[ast.stmt]:
    """Return what is left of statements when a condition is known."""
    left: list[ast.stmt] = []
    for node in body:
        if not isinstance(node, ast.If):
            left += [node]
        elif ast.unparse(node.test) == test:
            left += _decided(node.body if holds else node.orelse, test, holds)
        else:
            branches = (_decided(part, test, holds) for part in (node.body, node.orelse))
            left += [ast.If(node.test, *branches)]
    return left


def _state(row: Any) -> list[str]:
    """Return the function that says which arrays are asked for, and what they are at first."""
    texts = [text for state in row.state for text in (state.when, state.initial) if text]
    used = {name for text in texts for name in _read(statements(text))}
    lines = [f"static unsigned {row.name.lower()}_state(const double *hyper, double *initial) {{"]
    lines += _declared(row, used) or ["    (void)hyper;"]
    lines += [f"    initial[{i}] = {_c(state.initial)};" for i, state in enumerate(row.state)]
    asked = [f"({_c(s.when)} ? {1 << i}u : 0u)" if s.when else f"{1 << i}u"
             for i, s in enumerate(row.state)]  # fmt: skip
    return [*lines, _fold(f"    return {' | '.join(asked) or '0'};"), "}", ""]


def _names(row: Any) -> list[str]:
    """Return the names of hyper-parameters, and how many numbers a rule has."""
    kinds = {bool: "RULE_FLAG", tuple: "RULE_PAIR"}
    hyper = [f'{{"{h.name}", {kinds.get(type(h.default), "RULE_NUMBER")}}}' for h in row.hyper]
    name = row.name.lower()
    return [
        *_list(f"static const RuleHyper {name}_hyper[] = {{{', '.join(hyper)}}};"),
        f"enum {{ {name}_numbers = {len(_parameters(row))}, {name}_states = {len(row.state)} }};",
        "",
    ]


def _fold(line: str) -> str:
    """Break a long expression of C between two tokens."""
    margin = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(line.strip(), 98, initial_indent=margin, subsequent_indent=margin + "    ",
                         break_on_hyphens=False, break_long_words=False)  # fmt: skip


def _list(line: str, margin: str = "", end: str = "") -> list[str]:
    """Break a long list of C behind its commas."""
    whole = re.sub(r"(?<!,) ", "\0", line)  # one word for textwrap
    lines = textwrap.wrap(whole, 96, initial_indent=margin, subsequent_indent=margin + "    ",
                          break_on_hyphens=False, break_long_words=False)  # fmt: skip
    return [text.replace("\0", " ") + end for text in lines[:-1]] + [lines[-1].replace("\0", " ")]


# -- Python --------------------------------------------------------------------------------------


def classes(rows: Iterable[Any]) -> str:
    """Return `__all__` and the classes of optim.py."""
    public = sorted([row.name for row in rows] + ["Optimizer"], key=lambda x: (not x.isupper(), x))
    lines = ["__all__ = [", *(f'    "{name}",' for name in public), "]"]
    for row in rows:
        lines += ["", "", *_class(row)]
    return "\n".join([*lines, "", "", ""])


def _class(row: Any) -> list[str]:
    """Return the class of a row."""
    keywords = [hyper.keyword for hyper in row.hyper]
    arguments = [f"{hyper.name}: {_type(hyper)} = {hyper.default!r}," for hyper in row.hyper]
    if any(keywords):
        arguments.insert(keywords.index(True), "*,")
    return [
        f"class {row.name}({row.base or 'Optimizer'}):",
        *(f"    {line}".rstrip() for line in _docstring(row).splitlines()),
        "",
        f'    _RULE = "{row.name}"',
        "",
        "    def __init__(",
        "        self,",
        "        params: Iterable[Any],",
        *(f"        {argument}" for argument in arguments),
        "    ) -> None:",
        *_initialize(row),
    ]


def _initialize(row: Any) -> list[str]:
    """Return the body of a constructor; one that derives from another rule's calls that one's."""
    if row.base:
        given = ["params", *(f"{h.name}={h.name}" if h.keyword else h.name for h in row.hyper)]
        return [f"        super().__init__({', '.join(given)})"]
    return [
        "        defaults = {",
        *(f'            "{hyper.name}": {hyper.name},' for hyper in row.hyper),
        "        }",
        "        super().__init__(params, defaults)",
    ]


def _type(hyper: Any) -> str:
    return {bool: "bool", tuple: "tuple[float, float]"}.get(type(hyper.default), "float")


def _docstring(row: Any) -> str:
    """Return the docstring of a row's class, in quotes."""
    lines = [f'"""{row.doc}', "", *_section("Parameters"), "params : iterable", f"    {_PARAMS}"]
    for hyper in row.hyper:
        kind = "pair of float" if isinstance(hyper.default, tuple) else _type(hyper)
        lines += [f"{hyper.name} : {kind}", *_wrap(_described(hyper), "    ")]
    lines += ["", *_section("Raises"), "FastgradValueError, FastgradTypeError", f"    {_RAISES}"]
    lines += ["", *_section("Notes"), *_wrap(row.notes)]
    if row.references:
        lines += ["", *_section("References"), *_wrap(row.references)]
    if row.example:
        lines += ["", *_section("Examples"), *row.example.splitlines()]
    return "\n".join([*lines, '"""'])


def _section(title: str) -> list[str]:
    return [title, "-" * len(title)]


def _wrap(text: str, margin: str = "") -> list[str]:
    return textwrap.wrap(text, 96, initial_indent=margin, subsequent_indent=margin,
                         break_on_hyphens=False, break_long_words=False)  # fmt: skip


def _described(hyper: Any) -> str:
    """Return what a hyper-parameter does and what is allowed."""
    if isinstance(hyper.default, bool):
        return f"{hyper.doc}."
    bounds = [f"{x:g} or more" for x in [hyper.least] if x > float("-inf")]
    bounds += [f"below {x:g}" for x in [hyper.below] if x < float("inf")]
    each = ", each " if isinstance(hyper.default, tuple) else ", "
    return f"{hyper.doc}{each if bounds else ''}{' and '.join(bounds)}."


# -- documentation -------------------------------------------------------------------------------


def page(rows: Iterable[Any]) -> str:
    """Return what docs/optimizers.md says about each row."""
    lines = []
    for row in rows:
        lines += [f"## {row.name}", "", *_wrap(row.doc), ""]
        lines += ["| hyper-parameter | default | |", "|---|---|---|"]
        for hyper in row.hyper:
            lines += [f"| `{hyper.name}` | `{hyper.default!r}` | {_described(hyper)} |"]
        state = [f"`{s.name}`" + (f" if `{s.when}`" if s.when else "") for s in row.state]
        state += ["`step`"] if row.counts else []
        lines += ["", *_wrap(f"State: {', '.join(state)}."), ""]
        lines += ["```text", "# once a step", *row.once.splitlines(), "# for each parameter",
                  *row.each.splitlines(), "```", ""]  # fmt: skip
    return "\n".join(lines)
