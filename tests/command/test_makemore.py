"""`python -m fastgrad makemore`: what it prints and writes, resumed, interrupted, killed.

Oracle: the run that nobody interrupted: the same checkpoint, byte for byte.
"""

import re
import signal
import sys

import pytest
from helpers.processes import python

from fastgrad import nn
from fastgrad.command import cli
from fastgrad.models.makemore import Makemore

pytestmark = pytest.mark.wide
SMALL = ["--n-embd", "2", "--block-size", "3", "--batch-size", "4", "--save-every", "5"]


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("anna\nben\nnab\nbena\nana\nnana\nabba\nenna\nbee\nnan\nada\n", "utf-8")
    return path


def makemore(*options):
    return cli.main(["makemore", *map(str, options)])


def test_bigram_prints_its_loss_beside_the_counted_optimum(words, tmp_path, capsys):
    out = tmp_path / "out"
    assert makemore(words, "--test-fraction", "0", "--out", out) == 0
    text = capsys.readouterr().out
    loss, best = re.search(r"^train (\S+), counted optimum (\S+)$", text, re.MULTILINE).groups()
    assert float(best) <= float(loss) < float(best) + 0.005
    assert "step 300 of 300: loss " in text
    assert len((out / "words.txt").read_text("utf-8").splitlines()) == 20


def test_run_shows_progress_and_writes_its_folder(words, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out = tmp_path / "deep" / "out"
    options = ["--model", "mlp", "--steps", "12", "--samples", "4", "--start", "an", *SMALL]
    assert makemore(words, *options, "--out", out) == 0
    text = capsys.readouterr().out
    assert "10 lines to learn, 1 to test, 5 characters" in text
    lines = re.findall(
        r"^step (\d+) of 12: loss [\d.]+, test [\d.]+, [\d,]+ characters a second: .*, .*, .*$",
        text, re.MULTILINE,
    )  # fmt: skip
    assert lines == ["5", "10", "12"]
    assert re.search(r"^train [\d.]+, test [\d.]+$", text, re.MULTILINE)
    assert text.rstrip().endswith("checkpoint, model, words, curve")
    assert sorted(path.name for path in out.iterdir()) == [
        "checkpoint.safetensors", "loss.png", "model.safetensors", "words.txt",
    ]  # fmt: skip
    assert (out / "loss.png").read_bytes().startswith(b"\x89PNG")
    made = (out / "words.txt").read_text("utf-8").splitlines()
    assert len(made) == 4
    assert all(word.startswith("an") for word in made)
    run = Makemore.load(out / "checkpoint.safetensors")
    other = Makemore(words, model="mlp", n_embd=2, block_size=3, batch_size=4)
    assert nn.load(other.model, out / "model.safetensors") == ([], [])
    assert [p.data for p in other.model.parameters()] == [p.data for p in run.model.parameters()]


def test_run_without_test_lines_or_matplotlib_leaves_them_out(words, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    options = ["--model", "bow", "--steps", "2", "--test-fraction", "0", *SMALL]
    assert makemore(words, *options, "--out", tmp_path) == 0
    text = capsys.readouterr().out
    assert "test " not in text.split("\n", 1)[1]
    assert "no curve: matplotlib is not installed" in text
    assert not (tmp_path / "loss.png").exists()


def test_resume_goes_on_to_the_same_checkpoint(words, tmp_path, capsys):
    options = [words, "--model", "rnn", *SMALL]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    makemore(*options, "--steps", "9", "--out", whole)
    assert makemore(*options, "--steps", "7", "--resume", "--out", parts) == 0
    assert f"no checkpoint in {parts}: training from the start" in capsys.readouterr().out
    assert makemore(*options, "--steps", "9", "--resume", "--out", parts) == 0
    assert "going on from step 7" in capsys.readouterr().out
    for name in ("checkpoint.safetensors", "model.safetensors", "words.txt"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes()
    assert makemore(*options, "--steps", "8", "--resume", "--out", parts) == 0
    assert "has 9 steps, of 8 nothing is left" in capsys.readouterr().out


def test_new_run_keeps_the_checkpoint_of_another(words, tmp_path, capsys):
    makemore(words, "--steps", "3", "--out", tmp_path)
    kept = (tmp_path / "checkpoint.safetensors").read_bytes()
    makemore(words, "--steps", "4", "--out", tmp_path)
    assert (tmp_path / "checkpoint.previous.safetensors").read_bytes() == kept
    assert "the checkpoint of another run is now " in capsys.readouterr().out


def test_sample_only_makes_words_of_the_checkpoint(words, tmp_path, capsys):
    makemore(words, "--steps", "5", "--out", tmp_path)
    capsys.readouterr()
    options = ["--sample-only", "--samples", "3", "--start", "be", "--out", tmp_path]
    assert makemore(*options) == makemore(*options) == 0
    made = capsys.readouterr().out.splitlines()
    assert made[:3] == made[3:]
    assert all(word.startswith("be") for word in made)


def test_ctrl_c_writes_everything(words, tmp_path, capsys, monkeypatch):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    options = [words, "--model", "mlp", "--steps", "15", *SMALL]
    makemore(*options, "--out", whole)
    train = Makemore.train

    def press(run, steps):
        if run.step < 10:
            return train(run, steps)
        train(run, 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(Makemore, "train", press)
    assert makemore(*options, "--out", stopped) == 130
    assert "stopped behind step 12; --resume goes on from there" in capsys.readouterr().out
    assert (stopped / "words.txt").exists()
    monkeypatch.undo()
    assert makemore(*options, "--resume", "--out", stopped) == 0
    for name in ("checkpoint.safetensors", "words.txt"):
        assert (whole / name).read_bytes() == (stopped / name).read_bytes()


KILLED = """
import os, signal, sys
from fastgrad.files import container
from fastgrad.command.cli import main

calls = 0
def write_half(file, content):
    global calls
    calls += 1
    if calls == 3:
        file.write(content[: len(content) // 2])
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    file.write(content)

container.write_pieces = write_half
main(sys.argv[1:])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_run_killed_while_it_writes_a_checkpoint_can_be_resumed(words, tmp_path, capsys):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = ["makemore", words, "--model", "mlp", "--steps", "14", *SMALL]
    makemore(*options[1:], "--out", whole)
    process = python("-c", KILLED, *options, "--out", killed, cwd=tmp_path)
    assert process.returncode == -signal.SIGKILL
    assert Makemore.load(killed / "checkpoint.safetensors").step == 5
    assert makemore(*options[1:], "--resume", "--out", killed) == 0
    for name in ("checkpoint.safetensors", "model.safetensors", "words.txt"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes()


def test_without_a_file_the_project_s_own_words_are_learnt(tmp_path, capsys):
    assert makemore("--steps", "1", "--out", tmp_path) == 0
    assert capsys.readouterr().out.startswith("the project's own words: ")


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        (["none.txt"], "No such file"),
        (["--sample-only", "--out", "none"], "expected a checkpoint, got none"),
        (["--start", "9"], "expected characters of the training lines"),
        (["--lr", "-1"], "a number of at least 0, got -1.0 (lr"),
        (["--model", "transformer", "--n-embd", "3"], "a divisor of n_embd"),
    ],
)
def test_what_cannot_be_done_exits_with_2(options, fragment, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert makemore(*options) == 2
    captured = capsys.readouterr()
    assert fragment in captured.err
    assert captured.err.startswith("fastgrad: error: ")


@pytest.mark.parametrize("options", [["--steps", "-1"], ["--model", "gpt"], ["--n-embd", "0"]])
def test_options_that_are_no_counts_or_models_are_refused(options, capsys):
    with pytest.raises(SystemExit) as left:
        makemore(*options)
    assert left.value.code == 2


def test_empty_file_is_an_error(tmp_path, capsys):
    path = tmp_path / "empty"
    path.write_bytes(b"\n \r\n")
    assert makemore(path) == 2
    assert "at least one line that is not empty, got none" in capsys.readouterr().err
