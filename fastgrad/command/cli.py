"""The command line: `python -m fastgrad run | demo | makemore | microgpt | lessons | bench | info`.

A command is a row of COMMANDS: what help says of it, its options, what it calls. The modules that
do the work are imported by the command that needs them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import fastgrad
from fastgrad.errors import FastgradError, ProgramError, explain, show

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["COMMANDS", "main"]

_MOST = 10**9  # steps, rounds, seconds: more than anybody waits for
_PIPE = 128 + 13  # as shells say it of a program that SIGPIPE has ended

_OVERVIEW = """\
fastgrad is micrograd, natively: `from fastgrad.engine import Value`, `from fastgrad.nn import MLP`.
A program written for micrograd runs as it is, unedited, under `run`.
"""

_EXAMPLES = """\
examples:
  {prog} run train.py --epochs 3                  a program that imports micrograd
  {prog} run -m exercises.week1                   a module or package
  {prog} run --replace-class Value microgpt.py    a program that defines the class itself
  {prog} demo --steps 100 --output moons.png      train, time, compare and draw
  {prog} makemore names.txt --model mlp           learn a list of words, make more of them
  {prog} bench                                    a table of times, beside what is installed
  {prog} info --json                              what to put into a bug report
"""


def _option(*names: str, **settings: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return what argparse's add_argument takes."""
    return names, settings


@dataclass(frozen=True)
class Command:
    """A command: its name, the texts of its help, its options, what runs it."""

    name: str
    help: str
    description: str
    call: Callable[[argparse.Namespace], int]
    options: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = ()
    usage: str | None = None
    notes: str = ""
    takes_program: bool = False  # what follows its options belongs to a program: options.program

    def add_to(self, commands: Any, prog: str, **shape: Any) -> None:
        """Add the command's parser to the others."""
        parser = commands.add_parser(
            self.name,
            help=self.help,
            description=self.description,
            epilog=self.notes.format(prog=prog),
            usage=self.usage and self.usage.format(prog=prog),
            **shape,
        )
        for names, settings in self.options:
            parser.add_argument(*names, **settings)
        parser.set_defaults(call=self.call)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; `sys.argv[1:]` by default.

    Returns
    -------
    int
        Exit status: 0, 1 after an uncaught exception of the program that `run` ran, 2 if a command
        cannot be carried out as asked, 141 if whoever read standard output has gone, as in
        ``fastgrad info | head -1``.

    Raises
    ------
    SystemExit
        From `--help`, `--version` and wrong options, and the program's own under `run`.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = next((command for command in COMMANDS if [command.name] == arguments[:1]), None)
    program: list[str] = []
    if command is not None and command.takes_program:
        options, program = _split_program(arguments[1:])
        arguments = [command.name, *options]
    parser = _parser()
    try:
        given = parser.parse_args(arguments)
        given.program = program
        if given.command is None:
            parser.print_help()
            return 0
        status = int(given.call(given))
        if not given.program:
            sys.stdout.flush()  # here, where a reader that has gone is dealt with
        return status
    except BrokenPipeError:
        # Python flushes once more at its end, and would tell of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE
    except FastgradError as error:  # of `run`: only from before the program's first statement
        print(f"fastgrad: error: {error}", file=sys.stderr)
        return 2


def _split_program(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Separate the options of `run` from the program's name and arguments.

    argparse would take options that stand after the script for its own.
    """
    index = 0
    while index < len(arguments) and arguments[index][:1] == "-" != arguments[index]:
        if arguments[index] == "--":
            return arguments[:index], arguments[index + 1 :]
        if arguments[index].startswith("-m"):
            break
        index += 2 if arguments[index] == "--replace-class" else 1
    return arguments[:index], arguments[index:]


def _parser() -> argparse.ArgumentParser:
    by_name = os.path.basename(sys.argv[0]).startswith("fastgrad")
    prog = "fastgrad" if by_name else "python -m fastgrad"
    shape: dict[str, Any] = {
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,  # _split_program knows options by their full names
    }
    parser = argparse.ArgumentParser(
        prog=prog, description=_OVERVIEW, epilog=_EXAMPLES.format(prog=prog), **shape
    )
    parser.add_argument("--version", action="version", version=f"fastgrad {fastgrad.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command in COMMANDS:
        command.add_to(commands, prog, **shape)
    return parser


def _whole(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number of these bounds."""

    def read(text: str) -> int:
        digits = len(text) <= len(str(most)) and text.isdecimal()
        if not digits or not least <= int(text) <= most:
            expected = f"a whole number from {least} to {most}"
            raise argparse.ArgumentTypeError(explain(expected, show(text)))
        return int(text)

    return read


def _number(least: float, most: float) -> Callable[[str], float]:
    """Return what reads a number of these bounds."""

    def read(text: str) -> float:
        with contextlib.suppress(ValueError):
            if least <= float(text) <= most:
                return float(text)
        expected = f"a number from {least:g} to {most:g}"
        raise argparse.ArgumentTypeError(explain(expected, show(text)))

    return read


def _run(options: argparse.Namespace) -> int:
    from fastgrad.command.runner import run_module, run_script

    if not options.program:
        raise ProgramError(
            explain("a script, or -m and a module", "neither", "run", "see `run --help`")
        )
    name, *rest = options.program
    if not name.startswith("-m"):
        return run_script(name, rest, options.replace_class)
    if name == "-m":
        if not rest:
            raise ProgramError(explain("a module's name", "nothing", "after -m"))
        name, *rest = rest
        return run_module(name, rest, options.replace_class)
    return run_module(name[2:], rest, options.replace_class)


def _demo(options: argparse.Namespace) -> int:
    from fastgrad.command.demo import run_demo

    run_demo(
        steps=options.steps,
        seed=options.seed,
        output=options.output,
        spacing=options.spacing,
        rounds=0 if options.no_micrograd else options.rounds,
        recorded=options.recorded,
    )
    return 0


def _makemore(options: argparse.Namespace) -> int:
    from fastgrad.command.makemore import run_makemore

    given = {name: value for name, value in vars(options).items() if value is not None}
    for name in ("command", "call", "program"):
        del given[name]
    try:
        return run_makemore(**given)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ProgramError(explain("a file to read or write", f"{error}", "makemore")) from error


def _microgpt(options: argparse.Namespace) -> int:
    from fastgrad.command.microgpt import run_microgpt

    try:
        return run_microgpt(
            options.file,
            options.steps,
            options.seed,
            options.samples,
            options.temperature,
            options.plain_steps,
        )
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ProgramError(explain("a file to read", f"{error}", "microgpt")) from error


def _explore(options: argparse.Namespace) -> int:
    from fastgrad.command.pages import run_explore

    return run_explore(options.file, options.arguments, options.root, options.out)


def _playground(options: argparse.Namespace) -> int:
    from fastgrad.command.pages import run_playground

    return run_playground(options.out)


def _lessons(options: argparse.Namespace) -> int:
    from fastgrad.command.lessons import run_lessons

    return run_lessons(options.number, options.port)


def _bench(options: argparse.Namespace) -> int:
    from fastgrad.command.bench.cases import WORKLOADS
    from fastgrad.command.bench.table import DEFAULT, run_bench

    for name in options.workloads or ():
        if name not in WORKLOADS:
            known = ", ".join(WORKLOADS)
            raise ProgramError(explain(f"workloads out of {known}", repr(name), "--workloads"))
    run_bench(options.workloads or DEFAULT, options.seconds, options.json)
    return 0


def _info(options: argparse.Namespace) -> int:
    import platform

    from fastgrad import engine

    facts: dict[str, Any] = {
        "fastgrad": fastgrad.__version__,
        "location": os.path.dirname(fastgrad.__file__),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "build": engine.build_info(),
        "arena": engine.arena_stats(),
    }
    if options.json:
        import json

        print(json.dumps(facts, indent=2, default=str))
        return 0
    rows = [(key, value) for key, value in facts.items() if not isinstance(value, dict)]
    for section, values in facts.items():
        if isinstance(values, dict):
            rows += [(f"{section}.{key}", value) for key, value in values.items()]
    width = max(len(key) for key, _ in rows)
    for key, value in rows:
        shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value
        print(f"{key:<{width}}  {shown}")
    return 0


_RUN = """\
Run an unedited program with `micrograd`, `micrograd.engine` and `micrograd.nn` resolving to
fastgrad, whether or not micrograd is installed.  Everything after the script's or module's name
is the program's own; sys.argv, __name__, sys.path, standard input, tracebacks and the exit status
are what `python script.py` gives.
"""

_RUN_NOTES = """\
--replace-class serves programs that define `class Value` instead of importing it: each top-level
statement of that name gives way to fastgrad's class.  It says on standard error what it replaced,
and which methods fastgrad's class lacks.  Repeat it for several classes:

  {prog} run --replace-class Value --replace-class MLP lecture.py

NAME=Value serves a class of another name, MODULE:NAME one that the program imports from MODULE; a
NAME alone is looked for in the program and in the modules of its folder that it imports.  SCRIPT
may be a notebook, whose code cells are run in their order, or - for standard input.

Child processes inherit the effect by fork; multiprocessing's spawn and forkserver start an
interpreter of their own, which imports what is installed.
"""

_DEMO = """\
Train micrograd's own demo, MLP(2, [16, 16, 1]) on two moons, with the notebook's code and seeds;
record one point's loss as a tape and train the same network again, from Python and in one call of
fit; time the same code on PyPI's micrograd, in alternation; draw the decision boundary.
Needs the extra: pip install 'fastgrad[demo]'
"""

_MAKEMORE = """\
Learn a file of lines character by character and make more of them, as Andrej Karpathy's makemore
does: with a bigram, mlp, rnn, gru, lstm, bow, cnn or transformer, trained on a tape.
"""

_MAKEMORE_NOTES = """\
Without FILE the project's own words are learnt. The folder of --out holds checkpoint.safetensors,
model.safetensors, words.txt and, with matplotlib, loss.png. --resume goes on to the same numbers
as an uninterrupted run, also of a run that was killed. Ctrl-C ends it after the step, with all
written.
"""

_MODELS = ("bigram", "mlp", "rnn", "gru", "lstm", "bow", "cnn", "transformer")

_MICROGPT = """\
Train Andrej Karpathy's microgpt, a GPT on scalars, with its own sizes and schedule: on a tape for
each length, and its first steps once more with a class in plain Python, whose factor is printed.
"""

_EXPLORE = """\
Run a program, or load a tape that was saved, and write one HTML file in which a person walks
through the computation, forward and backward, changes numbers, and takes gradient steps; fastgrad's
own engine computes in it.
"""

_PLAYGROUND = """\
Write one HTML file in which a network learns to tell two classes of points: choose data, layers,
activation and optimizer, run or step, watch the boundary, weights and gradients, and take the
trained network away as Python. fastgrad's own engine trains in it.
"""

_LESSONS = """\
Serve one of eight lessons, from a slope to makemore, as a page on this machine alone; without N
list them. In a checkout. Needs the extra: pip install '.[lessons]'
"""

_BENCH = """\
Time micrograd's README expression, long graphs, the moons demo, the first lecture's network and a
GPT on scalars: fastgrad, eagerly and on tapes, and in turn with it a plain Python class, micrograd
and PyTorch, where they are installed. Takes about two minutes. The moons need scikit-learn
('fastgrad[demo]').
"""

COMMANDS = (
    Command(
        "run",
        "run an unedited micrograd program on fastgrad",
        _RUN,
        _run,
        (
            _option(
                "--replace-class",
                metavar="[MODULE:]NAME[=TARGET]",
                action="append",
                default=[],
                help="the program's class that gives way, and to which of Value, Module, Neuron, "
                "Layer, MLP; may be repeated",
            ),
            _option("-m", metavar="MODULE", help="run a module or package, as `python -m` does"),
        ),
        "{prog} run [--replace-class NAME] SCRIPT [ARGUMENT ...]\n"
        "       {prog} run [--replace-class NAME] -m MODULE [ARGUMENT ...]",
        _RUN_NOTES,
        takes_program=True,
    ),
    Command(
        "demo",
        "train micrograd's two-moons demo, time it against micrograd, draw the boundary",
        _DEMO,
        _demo,
        (
            _option(
                "--steps",
                type=_whole(1, _MOST),
                default=100,
                metavar="N",
                help="training steps (100)",
            ),
            _option(
                "--seed",
                type=_whole(0, 2**32 - 1),
                default=1337,
                metavar="N",
                help="of numpy and random (1337, the notebook's)",
            ),
            _option(
                "--output", default="moons.png", metavar="FILE", help="picture to write (moons.png)"
            ),
            _option(
                "--spacing",
                type=_number(0.001, 1),
                default=0.02,
                metavar="H",
                help="grid spacing of the picture (0.02)",
            ),
            _option(
                "--rounds",
                type=_whole(1, _MOST),
                default=3,
                metavar="N",
                help="steps of micrograd (3)",
            ),
            _option(
                "--recorded",
                action=argparse.BooleanOptionalAction,
                default=True,
                help="train a second time on a tape (yes)",
            ),
            _option(
                "--no-micrograd",
                action="store_true",
                help="skip the comparison, which takes seconds",
            ),
        ),
    ),
    Command(
        "makemore",
        "learn a list of words character by character, make more of them",
        _MAKEMORE,
        _makemore,
        (
            _option("file", nargs="?", metavar="FILE", help="lines to learn, in UTF-8"),
            _option("--model", choices=_MODELS, default="bigram", help="(bigram)"),
            _option(
                "--steps",
                type=_whole(0, _MOST),
                metavar="N",
                help="the run's total (docs/models.md)",
            ),
            _option(
                "--batch-size",
                type=_whole(1, _MOST),
                metavar="N",
                help="windows or words in a mini-batch",
            ),
            _option("--lr", type=float, metavar="X", help="learning rate"),
            _option(
                "--lr-decay-steps",
                type=_whole(0, _MOST),
                metavar="N",
                help="behind which it is a tenth",
            ),
            _option(
                "--n-layer", type=_whole(1, _MOST), metavar="N", help="blocks, or layers of an mlp"
            ),
            _option("--n-head", type=_whole(1, _MOST), metavar="N", help="heads of a transformer"),
            _option("--n-embd", type=_whole(1, _MOST), metavar="N", help="numbers for a character"),
            _option(
                "--block-size",
                type=_whole(1, _MOST),
                metavar="N",
                help="characters of a context (<= 16)",
            ),
            _option("--dropout", type=float, metavar="X", help="part that training sets to 0 (0)"),
            _option(
                "--seed", type=_whole(0, 2**32 - 1), metavar="N", help="of all that is drawn (0)"
            ),
            _option(
                "--test-fraction", type=float, metavar="X", help="part of the lines for tests (0.1)"
            ),
            _option(
                "--save-every",
                type=_whole(1, _MOST),
                metavar="N",
                help="steps to a checkpoint (100)",
            ),
            _option("--samples", type=_whole(0, _MOST), metavar="N", help="words to make (20)"),
            _option("--start", metavar="TEXT", help="what they begin with"),
            _option("--sample-only", action="store_true", help="make words of the checkpoint"),
            _option("--resume", action="store_true", help="go on from the checkpoint"),
            _option("--out", metavar="DIR", help="folder to write to (makemore)"),
            _option(
                "--threads", type=_whole(1, _MOST), metavar="N", help="that share a mini-batch (1)"
            ),
            _option("--executor", metavar="WHERE", help="dask://host:port, processes:N or mpi"),
        ),
        None,
        _MAKEMORE_NOTES,
    ),
    Command(
        "microgpt",
        "train the scalar GPT on tapes, beside a plain Python class",
        _MICROGPT,
        _microgpt,
        (
            _option("file", nargs="?", metavar="FILE", help="documents, one a line, in UTF-8"),
            _option(
                "--steps",
                type=_whole(0, _MOST),
                default=1000,
                metavar="N",
                help="documents to learn (1000)",
            ),
            _option(
                "--seed",
                type=_whole(0, 2**32 - 1),
                default=42,
                metavar="N",
                help="of all that is drawn (42)",
            ),
            _option(
                "--samples",
                type=_whole(0, _MOST),
                default=20,
                metavar="N",
                help="words to make (20)",
            ),
            _option(
                "--temperature",
                type=_number(0.01, 100),
                default=0.5,
                metavar="X",
                help="below 1 prefers what is likely (0.5)",
            ),
            _option(
                "--plain-steps",
                type=_whole(0, _MOST),
                default=3,
                metavar="N",
                help="of the plain class (3)",
            ),
        ),
    ),
    Command(
        "explore",
        "write a page in which one walks through a program's computation",
        _EXPLORE,
        _explore,
        (
            _option("file", metavar="FILE", help="a program (.py, .ipynb) or a tape's file"),
            _option("arguments", nargs="*", metavar="ARGUMENT", help="the program's own"),
            _option("--root", metavar="NAME", help="the program's Value or tape (the last one)"),
            _option(
                "--out", metavar="FILE", default="explorer.html", help="to write (explorer.html)"
            ),
        ),
    ),
    Command(
        "playground",
        "write a page in which a network learns, step by step",
        _PLAYGROUND,
        _playground,
        (
            _option(
                "--out",
                metavar="FILE",
                default="playground.html",
                help="to write (playground.html)",
            ),
        ),
    ),
    Command(
        "lessons",
        "list the lessons, or serve one",
        _LESSONS,
        _lessons,
        (
            _option("number", metavar="N", nargs="?", type=_whole(1, 99), help="which one"),
            _option(
                "--port",
                type=_whole(1, 65535),
                default=2718,
                metavar="P",
                help="where it listens, on 127.0.0.1 (2718)",
            ),
        ),
    ),
    Command(
        "bench",
        "time the benchmarks on this machine, beside micrograd and PyTorch if installed",
        _BENCH,
        _bench,
        (
            _option(
                "--seconds",
                type=_whole(1, _MOST),
                default=100,
                metavar="N",
                help="time to take (100)",
            ),
            _option("--workloads", nargs="+", metavar="NAME", help="such as moons, gpt, chain-1e6"),
            _option("--json", action="store_true", help="print one JSON object"),
        ),
    ),
    Command(
        "info",
        "show version, build and arena figures",
        "Show what a bug report needs: versions, platform, build, what is alive.",
        _info,
        (_option("--json", action="store_true", help="print one JSON object"),),
    ),
)
