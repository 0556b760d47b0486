"""Exchange a program's own `class Value` for fastgrad's, in its syntax tree.

Lectures, exercises and microgpt define the class in the program itself, so there is no import to
redirect.  A class statement becomes an import on the same line; every other statement stays where
it is, and tracebacks keep pointing at the right lines.
"""

from __future__ import annotations

import ast
import importlib
from typing import TYPE_CHECKING

from fastgrad.errors import ProgramError, explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["TARGETS", "replace_classes"]

TARGETS = {
    "Value": "fastgrad.engine",
    "Module": "fastgrad.nn",
    "Neuron": "fastgrad.nn",
    "Layer": "fastgrad.nn",
    "MLP": "fastgrad.nn",
}

# Harmless in a class that gives way: `object` has them all, and they say nothing about behaviour.
_IGNORED = frozenset({"__doc__", "__hash__", "__match_args__", "__slots__"})


def replace_classes(tree: ast.Module, names: Sequence[str], filename: str) -> list[str]:
    """Replace every top-level statement `class NAME` by an import of fastgrad's class of that name.

    Top-level includes the bodies of `if`, `try`, `with`, `for`, `while` and `match`; classes inside
    functions and classes are left alone.  A name that is defined several times, as notebooks do,
    gives way each time.

    Parameters
    ----------
    tree : ast.Module
        Changed in place.
    names : sequence of str
        Keys of `TARGETS`.
    filename : str
        For messages.

    Returns
    -------
    list of str
        What to tell the user: a line for each replacement, then what may not carry over.

    Raises
    ------
    ProgramError
        If a name is no class that fastgrad has, or the program has no such class.
    """
    for name in names:
        if name not in TARGETS:
            raise ProgramError(
                explain(f"one of {', '.join(TARGETS)}", repr(name), "--replace-class")
            )
    kept: list[str] = []
    replaced: list[ast.ClassDef] = []
    _replace_in(tree.body, frozenset(names), replaced, kept)

    messages = [
        f"class {node.name} ({filename}:{_lines(node)}) replaced by {_target(node.name)}"
        for node in replaced
    ]
    for name in dict.fromkeys(names):
        definitions = [node for node in replaced if node.name == name]
        if not definitions:
            raise ProgramError(_no_such_class(name, kept, filename))
        messages += _what_is_lost(name, definitions)
        messages += _calls_in_another_dialect(name, definitions[-1], tree, filename)
    return messages


def _replace_in(
    body: list[ast.stmt], names: frozenset[str], replaced: list[ast.ClassDef], kept: list[str]
) -> None:
    """Walk statements that run at top level; expressions are skipped, however deeply they nest."""
    for index, statement in enumerate(body):
        if isinstance(statement, ast.ClassDef):
            if statement.name in names:
                replaced.append(statement)
                body[index] = _import_of(statement)
            else:
                kept.append(statement.name)
        elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            for block in _blocks(statement):
                _replace_in(block, names, replaced, kept)


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for _, field in ast.iter_fields(statement):
        if isinstance(field, list) and field:
            if isinstance(field[0], ast.stmt):
                yield field
            elif isinstance(field[0], ast.ExceptHandler | ast.match_case):
                yield from (clause.body for clause in field)


def _import_of(statement: ast.ClassDef) -> ast.ImportFrom:
    name = statement.name
    node = ast.ImportFrom(module=TARGETS[name], names=[ast.alias(name=name)], level=0)
    return ast.fix_missing_locations(ast.copy_location(node, statement))


def _target(name: str) -> str:
    return f"{TARGETS[name]}.{name}"


def _lines(node: ast.ClassDef) -> str:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return f"{first}-{node.end_lineno}"


def _no_such_class(name: str, kept: list[str], filename: str) -> str:
    others = ", ".join(dict.fromkeys(kept))
    got = f"a program with the classes {others}" if others else "a program without classes"
    return explain(
        f"a top-level `class {name}`",
        got,
        filename,
        "a program that imports its classes from micrograd runs without --replace-class",
    )


def _what_is_lost(name: str, definitions: list[ast.ClassDef]) -> list[str]:
    """Say which attributes fastgrad's class lacks, and how its networks differ from a lecture's."""
    target = getattr(importlib.import_module(TARGETS[name]), name)
    defined = dict.fromkeys(attribute for node in definitions for attribute in _attributes(node))
    lost = [
        f"{name}.{attribute}"
        for attribute in defined
        if getattr(target, attribute, None) is getattr(object, attribute, None)
    ]
    messages = []
    if lost:
        messages.append(f"{_target(name)} has no {', '.join(lost)}; a use of it fails or differs")
    if name in {"Neuron", "Layer", "MLP"}:
        messages.append(
            f"{_target(name)} is micrograd's: ReLU in every layer but the last, biases start at 0"
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


def _calls_in_another_dialect(
    name: str, node: ast.ClassDef, tree: ast.Module, filename: str
) -> list[str]:
    """Find calls `Value(data, operands, third)` whose third argument means something else.

    In every dialect the second argument is the operands.  The third is a label for pictures in
    micrograd and local derivatives in microgpt: silently taken for the other, the gradient is lost.
    """
    parameters = _parameters(node)
    if name != "Value" or len(parameters) < 3 or "op" in parameters[2]:
        return []
    third = parameters[2]
    return [
        f"warning: {filename}:{call.lineno}: passes {third}, which {_target(name)}(data, "
        "_children, _op) does not take: this node will have no derivative"
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == name
        if len(call.args) > 2 or any(keyword.arg == third for keyword in call.keywords)
    ]


def _parameters(node: ast.ClassDef) -> list[str]:
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            named = [*statement.args.posonlyargs, *statement.args.args]
            return [argument.arg for argument in named[1:]]
    return []
