"""Exchange a program's own `class Value` for fastgrad's, in its syntax tree.

Lectures, exercises and microgpt define the class in the program itself, so there is no import to
redirect.  A class statement becomes an import on the same line; every other statement stays where
it is, and tracebacks keep pointing at the right lines.  Calls of a class whose parameters have
other names or another order become calls with fastgrad's names.
"""

from __future__ import annotations

import ast
import importlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastgrad.errors import ProgramError, explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["TARGETS", "Replacement", "engines_in", "parse_replacement", "replace_classes"]

TARGETS = {
    "Value": "fastgrad.engine",
    "Module": "fastgrad.nn",
    "Neuron": "fastgrad.nn",
    "Layer": "fastgrad.nn",
    "MLP": "fastgrad.nn",
}

# Harmless in a class that gives way: `object` has them all, and they say nothing about behaviour.
_IGNORED = frozenset({"__doc__", "__hash__", "__match_args__", "__slots__"})

# How people call the parameters of Value's constructor, besides the first, which is its data.
_MEANINGS = {
    "local_grads": re.compile(
        r"(local|child|parent|input|operand|partial|deriv).*grad"
        r"|^_*(local_)?(grads|locals?|partials?|derivs?|derivatives?)$"
    ),
    "grad": re.compile(r"^_*grad$"),
    "_children": re.compile(r"child|prev|parent|operand|input|source|deps|args"),
    "_op": re.compile(r"^_*(op|operation|operator)$"),
    "label": re.compile(r"label|name"),
}


# What Value calls that which a parameter of these meanings is kept as.
_KEPT = {
    "data": "data",
    "grad": "grad",
    "_children": "operands",
    "local_grads": "_local_grads",
    "_op": "_op",
    "label": "label",
}


@dataclass(frozen=True)
class Replacement:
    """`MODULE:NAME=TARGET` of --replace-class: which class gives way, where, to which one."""

    module: str | None
    name: str
    target: str

    def __str__(self) -> str:
        return f"{self.module}:{self.name}" if self.module else self.name


def parse_replacement(text: str) -> Replacement:
    """Read `[MODULE:]NAME[=TARGET]`.

    Raises
    ------
    ProgramError
        If it reads otherwise, or the target is no class that fastgrad has.
    """
    match = re.fullmatch(r"(?:([\w.]+):)?(\w+)(?:=(\w+))?", text)
    if match is None:
        raise ProgramError(explain("[MODULE:]NAME[=TARGET]", repr(text), "--replace-class"))
    module, name, target = match.groups()
    if (target or name) not in TARGETS:
        raise ProgramError(
            explain(
                f"one of {', '.join(TARGETS)}",
                repr(target or name),
                "--replace-class",
                "" if target else f"say which class replaces it, as in {text}=Value",
            )
        )
    return Replacement(module, name, target or name)


def replace_classes(
    tree: ast.Module, replacements: Sequence[Replacement], filename: str
) -> tuple[list[str], set[Replacement]]:
    """Replace every top-level statement `class NAME` by an import of fastgrad's class.

    Top-level includes the bodies of `if`, `try`, `with`, `for`, `while` and `match`; classes inside
    functions and classes are left alone.  A name that is defined several times, as notebooks do,
    gives way each time.

    Parameters
    ----------
    tree : ast.Module
        Changed in place.
    replacements : sequence of Replacement
        Of this file; their `module` plays no part.
    filename : str
        For messages.

    Returns
    -------
    messages : list of str
        What to tell the user: a line for each replacement, then what may not carry over.
    found : set of Replacement
        Those that the file has a class for.
    """
    replaced: list[tuple[ast.ClassDef, Replacement]] = []
    _replace_in(tree.body, {one.name: one for one in replacements}, replaced)
    messages = [
        f"class {node.name} ({filename}:{_lines(node)}) replaced by {_target(one)}"
        for node, one in replaced
    ]
    for one in dict.fromkeys(one for _, one in replaced):
        definitions = [node for node, other in replaced if other is one]
        if one.target == "Value":
            messages += _alias_attributes(one, definitions)
        messages += _what_is_lost(one, definitions)
    return messages, {one for _, one in replaced}


def parameters_of(tree: ast.Module, name: str) -> list[str]:
    """Return the names of the constructor's parameters of the last top-level `class NAME`."""
    return next((_parameters(node) for node in reversed(_classes(tree)) if node.name == name), [])


def rename_arguments(
    tree: ast.Module, replacement: Replacement, parameters: Sequence[str], filename: str
) -> list[str]:
    """Give the calls of a replaced Value the names that fastgrad's parameters have.

    Parameters
    ----------
    tree : ast.Module
        Changed in place: its calls `NAME(...)` and `module.NAME(...)`.
    replacement : Replacement
        The class that gives way.
    parameters : sequence of str
        Names of the parameters of the program's own class, without `self`.
    filename : str
        For messages.

    Returns
    -------
    list of str
        Warnings: arguments that fastgrad's class does not take, with their lines.
    """
    if replacement.target != "Value" or not parameters:
        return []
    renamed = [_meaning(name, place) for place, name in enumerate(parameters)]
    usual = renamed == ["data", "_children", "_op", "label"][: len(renamed)]
    warnings = []
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and _called(call) == replacement.name):
            continue
        for keyword in call.keywords:
            if keyword.arg in parameters:
                keyword.arg = renamed[parameters.index(keyword.arg)] or keyword.arg
        starred = any(isinstance(argument, ast.Starred) for argument in call.args)
        passed = [] if starred else list(zip(call.args, renamed, parameters, strict=False))
        if not usual and all(name for _, name, _ in passed):
            for value, name, _ in passed[1:]:
                call.keywords.append(ast.keyword(arg=name, value=value))
            del call.args[1:]
            ast.fix_missing_locations(call)
        unknown = [own for _, name, own in passed if name is None]
        unknown += [
            keyword.arg
            for keyword in call.keywords
            if keyword.arg and keyword.arg in parameters and keyword.arg not in renamed
        ]
        warnings += [
            f"warning: {filename}:{call.lineno}: passes {name}, which {_target(replacement)} "
            f"does not take{': this node will have no derivative' if _is_rule(name) else ''}"
            for name in unknown
        ]
    return warnings


def engines_in(tree: ast.Module) -> list[ast.ClassDef]:
    """Return the top-level classes that look as if they were an autograd engine of their own."""
    needed = {"backward", "__add__", "__mul__"}
    return [node for node in _classes(tree) if needed <= {*_attributes(node)}]


def class_names(tree: ast.Module) -> list[str]:
    """Return the names of the top-level classes."""
    return [node.name for node in _classes(tree)]


def _is_rule(name: str) -> bool:
    """Tell whether a parameter is a backward step, as in `Value(data, children, grad_fn)`."""
    return re.search(r"grad_?f|backward|vjp|deriv|jac", name) is not None


def _meaning(parameter: str, place: int) -> str | None:
    """Return fastgrad's name of a parameter that stands at a place in the program's own class."""
    if place == 0:
        return "data"
    return next((name for name, words in _MEANINGS.items() if words.search(parameter)), None)


def _called(call: ast.Call) -> str | None:
    function = call.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def _replace_in(
    body: list[ast.stmt],
    names: dict[str, Replacement],
    replaced: list[tuple[ast.ClassDef, Replacement]],
) -> None:
    """Walk statements that run at top level; expressions are skipped, however deeply they nest."""
    for index, statement in enumerate(body):
        if isinstance(statement, ast.ClassDef):
            if one := names.get(statement.name):
                replaced.append((statement, one))
                body[index] = _import_of(statement, one)
        elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            for block in _blocks(statement):
                _replace_in(block, names, replaced)


def _classes(tree: ast.Module) -> list[ast.ClassDef]:
    found: list[ast.ClassDef] = []

    def walk(body: list[ast.stmt]) -> None:
        for statement in body:
            if isinstance(statement, ast.ClassDef):
                found.append(statement)
            elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                for block in _blocks(statement):
                    walk(block)

    walk(tree.body)
    return found


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for _, field in ast.iter_fields(statement):
        if isinstance(field, list) and field:
            if isinstance(field[0], ast.stmt):
                yield field
            elif isinstance(field[0], ast.ExceptHandler | ast.match_case):
                yield from (clause.body for clause in field)


def _import_of(statement: ast.ClassDef, one: Replacement) -> ast.ImportFrom:
    alias = ast.alias(name=one.target, asname=None if one.name == one.target else one.name)
    node = ast.ImportFrom(module=TARGETS[one.target], names=[alias], level=0)
    return ast.fix_missing_locations(ast.copy_location(node, statement))


def _target(one: Replacement) -> str:
    return f"{TARGETS[one.target]}.{one.target}"


def _lines(node: ast.ClassDef) -> str:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return f"{first}-{node.end_lineno}"


def _what_is_lost(one: Replacement, definitions: list[ast.ClassDef]) -> list[str]:
    """Say which attributes fastgrad's class lacks, and how its networks differ from a lecture's."""
    target = getattr(importlib.import_module(TARGETS[one.target]), one.target)
    defined = dict.fromkeys(attribute for node in definitions for attribute in _attributes(node))
    lost = [
        f"{one.name}.{attribute}"
        for attribute in defined
        if getattr(target, attribute, None) is getattr(object, attribute, None)
    ]
    messages = []
    if lost:
        messages.append(f"{_target(one)} has no {', '.join(lost)}; a use of it fails or differs")
    if one.target in {"Neuron", "Layer", "MLP"}:
        messages.append(
            f"{_target(one)} is micrograd's: ReLU in every layer but the last, biases start at 0"
        )
    return [f"warning: {message}" for message in messages]


def _attributes(node: ast.ClassDef) -> Iterator[str]:
    """Names that a class body binds, less private ones: only its own methods call those."""
    for statement in node.body:
        names: list[str] = []
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [statement.name]
        elif isinstance(statement, ast.Assign):
            names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            names = [statement.target.id]
        for name in names:
            private = name.startswith("_") and not name.startswith("__")
            if not private and name not in _IGNORED:
                yield name


def _constructor(node: ast.ClassDef) -> ast.FunctionDef | None:
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return statement
    return None


def _parameters(node: ast.ClassDef) -> list[str]:
    """Return the parameters, keyword-only ones last; those of a dataclass are its fields."""
    if init := _constructor(node):
        named = [*init.args.posonlyargs, *init.args.args]
        return [argument.arg for argument in (*named[1:], *init.args.kwonlyargs)]
    if not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return []
    return [
        statement.target.id
        for statement in node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    ]


def _kept(node: ast.ClassDef) -> Iterator[tuple[str, str, bool]]:
    """Yield what keeps a parameter of the constructor: attribute, parameter, is it a set."""
    init = _constructor(node)
    parameters = _parameters(node)
    if init is None:
        yield from ((name, name, False) for name in parameters)
        return
    for target, value in _assignments(init):
        inner = list(ast.walk(value))
        names = {part.id for part in inner if isinstance(part, ast.Name)}
        used = [name for name in parameters if name in names]
        computed = any(isinstance(part, ast.BinOp | ast.Attribute) for part in inner)
        if isinstance(target, ast.Attribute) and len(used) == 1 and not computed:
            yield target.attr, used[0], "set" in names


def _assignments(function: ast.FunctionDef) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield each target of an assignment with its value; of `a, b = c, d` there are two."""
    for statement in ast.walk(function):
        if isinstance(statement, ast.AnnAssign) and statement.value:
            yield statement.target, statement.value
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple):
                    yield from zip(target.elts, statement.value.elts, strict=False)
                else:
                    yield target, statement.value


def _alias_attributes(one: Replacement, definitions: list[ast.ClassDef]) -> list[str]:
    """Let Value have, in this process, what the program's class keeps under names of its own."""
    target = getattr(importlib.import_module(TARGETS[one.target]), one.target)
    aliases = {}
    for node in definitions:
        parameters = _parameters(node)
        meanings = {name: _meaning(name, place) for place, name in enumerate(parameters)}
        for attribute, parameter, is_set in _kept(node):
            name = _KEPT.get(meanings[parameter] or "")
            if name and not hasattr(target, attribute):
                aliases[attribute] = "_prev" if is_set and name == "operands" else name
    for attribute, name in aliases.items():
        setattr(target, attribute, _alias(name))
    shown = ", ".join(f"{attribute} is {name}" for attribute, name in aliases.items())
    return [f"attributes of {one.name} in {_target(one)}: {shown}"] if shown else []


def _alias(name: str) -> property:
    return property(
        lambda value: getattr(value, name), lambda value, given: setattr(value, name, given)
    )
