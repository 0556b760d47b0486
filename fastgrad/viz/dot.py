"""Dot: micrograd's picture of a graph, as DOT, SVG, PNG, PDF or Mermaid."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from fastgrad.engine import Value
from fastgrad.errors import (
    FastgradTypeError,
    FastgradValueError,
    MissingExtraError,
    ShapeError,
    describe,
    explain,
    show,
)
from fastgrad.graphs import Graph, Node, trace
from fastgrad.tape import Tape
from fastgrad.viz.layout import expect_rankdir, render
from fastgrad.viz.paint import Mark, clean, painted_figure

__all__ = ["ACTIVATIONS", "LIMIT", "Picture", "draw_dot"]

ACTIVATIONS = {"relu", "tanh", "sigmoid", "gelu", "softplus", "leaky_relu"}  # a neuron's
LIMIT = 200  # nodes that a person can still read
_NEAR = 2  # edges around a node that `around` shows unless depth says otherwise


def draw_dot(
    root: Value | Tape | Iterable[Value],
    format: str = "svg",
    rankdir: str = "LR",
    *,
    args: Sequence[Any] = (),
    depth: int | None = None,
    around: Value | Iterable[Value] | None = None,
    collapse: bool = False,
    limit: int = LIMIT,
) -> Picture:
    """Draw what a Value was computed from, as micrograd's trace_graph notebook does.

    Parameters
    ----------
    root : Value, list or tuple of Values, or Tape
        What `fastgrad.trace` takes.
    format : str
        What `Picture.save` writes where a path has no suffix.
    rankdir : str
        "LR" from left to right, "TB" from top to bottom, or "RL", "BT".
    args : sequence
        Arguments of a tape, for one sample: its nodes then have the numbers of that call.
    depth : int, optional
        Leave out what is more operations than this before the root, or more edges than this from
        `around`, which otherwise is 2. Three dots stand for it.
    around : Value or list of Values, optional
        Draw the neighbourhood of these alone, what they come from and what uses them.
    collapse : bool
        Draw each neuron as one operation, without its weights and bias.
    limit : int
        Raise where more nodes would be drawn: nobody reads such a picture.

    Returns
    -------
    Picture
        It shows itself in notebooks.

    Raises
    ------
    FastgradTypeError
        If root is none of these, or an option is of another type.
    FastgradValueError
        If there are more nodes than `limit`, rankdir or format is none of those known, or `around`
        is not in the graph.
    ShapeError
        If arguments of a tape are a batch, or do not fit.

    Notes
    -----
    A node is a box with its label, data and grad, an operation an oval before it. Operands that
    occur twice have one edge, as in micrograd's picture.

    Examples
    --------
    >>> from fastgrad import Value
    >>> from fastgrad.viz import draw_dot
    >>> a = Value(3.0, label="a")
    >>> print(draw_dot(a**2).source)
    digraph {
        graph [rankdir=LR]
        0 [label="{ a | data 3.0000 | grad 0.0000 }" shape=record]
        1 [label="{ data 9.0000 | grad 0.0000 }" shape=record]
        "1op" [label="**2"]
        "1op" -> 1
        0 -> "1op"
    }
    """
    expect_rankdir(rankdir)
    _expect_format(format, "format of draw_dot")
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise FastgradTypeError(explain("a whole number", describe(limit), "limit of draw_dot"))
    near = around is not None
    try:
        graph = trace(
            root,
            *args,
            depth=None if near else depth,
            limit=None if near else limit * (_MERGED if collapse else 1),
            dots=collapse,
        )
    except ShapeError:
        raise
    except FastgradValueError:
        raise _too_many(limit) from None
    kept = _neighbours(graph, around, _NEAR if depth is None else depth) if near else None
    drawing = Drawing(graph, kept, collapse)
    if sum(mark.is_value for mark in drawing.marks.values()) > limit:
        raise _too_many(limit)
    return Picture(drawing, format, rankdir)


_MERGED = 50  # nodes that a neuron may have and still be drawn as one


def _too_many(limit: int) -> FastgradValueError:
    remedy = (
        "draw a part with depth= or around=, neurons as one with collapse=True, or raise limit="
    )
    return FastgradValueError(explain(f"at most {limit} nodes", "more", "draw_dot", remedy))


def _neighbours(graph: Graph, around: Any, depth: int) -> set[int]:
    """Return the nodes at most so many edges from some Values."""
    wanted = [around] if isinstance(around, Value) else list(around)
    ids = {id(node.value): node.id for node in graph.nodes if node.value is not None}
    for value in wanted:
        if id(value) not in ids:
            got = describe(value)
            expected = "Values of the graph"
            raise FastgradValueError(explain(expected, got, "around of draw_dot"))
    users = graph.users()
    kept = {ids[id(value)] for value in wanted}
    level = kept
    for _ in range(depth):
        below = {i for node in level for i in graph.nodes[node].operands}
        level = below | {i for node in level for i, _ in users[node]}
        kept = kept | level
    return kept


# What is drawn ------------------------------------------------------------------------------------


class Drawing:
    """Marks by name and arrows between them, whatever they are drawn with."""

    def __init__(self, graph: Graph, kept: set[int] | None, collapse: bool) -> None:
        self.marks: dict[str, Mark] = {}
        self.arrows: list[tuple[str, str]] = []
        hidden = _hidden(graph) if collapse else {}
        used = {operand for node in graph.nodes for operand in node.operands}
        shown = [
            node
            for node in graph.nodes
            if node.id not in hidden and (kept is None or node.id in kept)
            if node.kind != "constant" or node.id in used or node.id in graph.roots
        ]
        names = {node.id for node in shown}
        into: list[tuple[str, str]] = []
        for node in shown:
            source = hidden.get(-1 - node.id, node)  # the dot that a neuron's activation hides
            is_cut = source.is_cut
            name, made_by = f"{node.id}", f"{node.id}op"
            symbol = node.symbol
            operands: list[int] = list(dict.fromkeys(source.operands))
            if collapse and source.operation == "dot":
                symbol = "neuron" if source is node else f"neuron {node.symbol}"
                operands = [i for i in operands if i not in hidden]
            is_made = node.kind == "operation" and bool(symbol)
            is_bare = node.data is None and is_made
            if not is_bare:
                self.marks[name] = Mark(_fields(node), "record")
            if is_made:
                self.marks[made_by] = Mark([symbol], "ellipse", is_bare)
            if is_made and not is_bare:
                self.arrows.append((made_by, name))
            target = made_by if is_made else name
            for operand in operands:
                if operand in names:
                    bare = graph.nodes[operand].data is None
                    bare = bare and graph.nodes[operand].kind == "operation"
                    into.append((f"{operand}op" if bare else f"{operand}", target))
                else:
                    is_cut = True
            if is_cut:
                dots = f"{node.id}cut"
                self.marks[dots] = Mark(["…"], "plaintext", False)
                into.append((dots, target))
        self.arrows += into


def _hidden(graph: Graph) -> dict[int, Node]:
    """Return what collapsed neurons hide: their parameters, and the dot before an activation.

    That dot is found by the activation's id too, as -1 - id.
    """
    users = graph.users()
    hidden: dict[int, Node] = {}
    for node in graph.nodes:
        uses = users[node.id]
        if not node.operands and uses and all(_is_parameter(graph, *use) for use in uses):
            hidden[node.id] = node
        if node.operation == "dot" and len(uses) == 1 and node.id not in graph.roots:
            user = graph.nodes[uses[0][0]]
            if user.operation in ACTIVATIONS:
                hidden[node.id] = hidden[-1 - user.id] = node
    return hidden


def _is_parameter(graph: Graph, user: int, position: int) -> bool:
    """Tell a neuron's bias or weight: its operands are b, w, x, w, x, ..."""
    return graph.nodes[user].operation == "dot" and (position == 0 or position % 2 == 1)


def _fields(node: Node) -> list[str]:
    named = [node.label] if node.label else []
    numbers = [("data", node.data), ("grad", node.grad)]
    return named + [f"{name} {number:.4f}" for name, number in numbers if number is not None]


# Languages ----------------------------------------------------------------------------------------

_RECORD = str.maketrans({c: f"\\{c}" for c in "\\{}|<>"} | {"&": "&amp;", "\n": "\\n"})
_LABEL = str.maketrans({"\\": "\\\\", "&": "&amp;", "\n": "\\n"})
_MERMAID = str.maketrans({c: f"#{ord(c)};" for c in '"#&<>{}[]()|\\`;'} | {"\n": "<br/>"})


def _dot_label(mark: Mark) -> str:
    texts = [clean(field) for field in mark.fields]
    if mark.shape == "record":
        label = f"{{ {' | '.join(text.translate(_RECORD) for text in texts)} }}"
    else:
        label = texts[0].translate(_LABEL)
    return '"' + label.replace('"', '\\"') + '"'


def _dot(drawing: Drawing, rankdir: str) -> str:
    def name_of(name: str) -> str:
        return name if name.isdecimal() else f'"{name}"'

    lines = ["digraph {", f"\tgraph [rankdir={rankdir}]"]
    for name, mark in drawing.marks.items():
        shape = "" if mark.shape == "ellipse" else f" shape={mark.shape}"
        lines.append(f"\t{name_of(name)} [label={_dot_label(mark)}{shape}]")
    lines += [f"\t{name_of(tail)} -> {name_of(head)}" for tail, head in drawing.arrows]
    return "\n".join([*lines, "}", ""])


def _mermaid(drawing: Drawing, rankdir: str) -> str:
    brackets = {"record": ("[", "]"), "ellipse": ("([", "])"), "plaintext": ("[", "]")}
    lines = [f"flowchart {rankdir}"]
    for name, mark in drawing.marks.items():
        opened, closed = brackets[mark.shape]
        text = "<br/>".join(clean(field).translate(_MERMAID) for field in mark.fields)
        lines.append(f'    n{name}{opened}"{text}"{closed}')
    lines += [f"    n{tail} --> n{head}" for tail, head in drawing.arrows]
    return "\n".join([*lines, ""])


# The picture --------------------------------------------------------------------------------------


class Picture:
    """A drawn graph, as `draw_dot` returns it; it shows itself in Jupyter and marimo.

    Attributes
    ----------
    source : str
        The picture in the DOT language.
    mermaid : str
        The same in Mermaid's, which GitHub and many wikis draw.
    svg : str
        The picture itself. Reading it raises MissingExtraError where nothing that can place nodes
        is installed.
    format : str
        What `save` writes where a path has no suffix.
    """

    def __init__(self, drawing: Drawing, format: str, rankdir: str) -> None:
        self.drawing, self.format, self.rankdir = drawing, format, rankdir

    @cached_property
    def source(self) -> str:
        return _dot(self.drawing, self.rankdir)

    @cached_property
    def mermaid(self) -> str:
        return _mermaid(self.drawing, self.rankdir)

    @cached_property
    def svg(self) -> str:
        text = render(self.source, "svg").decode()
        return text[text.index("<svg") :]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture in the format that the path's suffix names.

        Parameters
        ----------
        path : str or path
            It ends in .svg, .png, .pdf, .dot (or .gv), .mermaid (or .mmd). Without a suffix,
            ``.svg`` or what `format` says is added.

        Raises
        ------
        FastgradValueError
            If it ends otherwise.
        MissingExtraError
            If nothing that can draw it is installed.
        OSError
            If the file cannot be written.

        Notes
        -----
        PNG and PDF are drawn by Graphviz where pygraphviz or the program dot is there, else by
        matplotlib, where Graphviz would have put them.
        """
        path = Path(path)
        if not path.suffix:
            path = path.with_suffix(f".{self.format}")
        write = _FORMATS[_expect_format(path.suffix[1:], "path of Picture.save")]
        path.write_bytes(write(self))

    def _repr_svg_(self) -> str:
        """Return the picture, made narrower where the page is."""
        return self.svg.replace("<svg ", '<svg style="max-width:100%;height:auto" ', 1)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"image/svg+xml": self._repr_svg_(), "text/plain": repr(self)}

    def __repr__(self) -> str:
        marks = self.drawing.marks.values()
        return f"<picture of {sum(mark.is_value for mark in marks)} nodes, {self.rankdir}>"


def _drawn(format: str) -> Callable[[Picture], bytes]:
    """Return what draws a picture in a format that not every Graphviz has."""

    def write(picture: Picture) -> bytes:
        try:
            return render(picture.source, format)
        except MissingExtraError:
            return _by_matplotlib(picture, format)

    return write


def _by_matplotlib(picture: Picture, format: str) -> bytes:
    import io

    figure, paint = painted_figure(picture.source, picture.drawing.marks, f"{format} picture")
    paint({}, {})
    written = io.BytesIO()
    figure.savefig(written, format=format)
    return written.getvalue()


_FORMATS: dict[str, Callable[[Picture], bytes]] = {
    "svg": lambda picture: picture.svg.encode(),
    "png": _drawn("png"),
    "pdf": _drawn("pdf"),
    "dot": lambda picture: picture.source.encode(),
    "gv": lambda picture: picture.source.encode(),
    "mermaid": lambda picture: picture.mermaid.encode(),
    "mmd": lambda picture: picture.mermaid.encode(),
}


def _expect_format(format: str, where: str) -> str:
    if not isinstance(format, str) or format not in _FORMATS:
        expected = ", ".join(_FORMATS)
        raise FastgradValueError(explain(f"one of {expected}", show(format), where))
    return format
