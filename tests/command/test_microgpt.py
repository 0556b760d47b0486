"""`python -m fastgrad microgpt`: the scalar GPT on a tape for each length, beside a plain class.

Oracle: the same model and Adam on Values and on the plain class, written out as a loop.
"""

import re

import pytest

from fastgrad import Value, optim
from fastgrad.command import cli, microgpt
from fastgrad.command.bench import plain
from fastgrad.command.bench.gpt import GPT
from fastgrad.errors import FastgradRuntimeError
from fastgrad.models.words import Alphabet

pytestmark = pytest.mark.wide


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("ab\nba\nabc\r\n\ncab\n", "utf-8")
    return path


def run(*options):
    return cli.main(["microgpt", *map(str, options)])


def test_training_is_shown_compared_and_sampled(words, capsys):
    options = [words, "--steps", "12", "--samples", "4", "--plain-steps", "2", "--temperature", "1"]
    assert run(*options) == 0
    text = capsys.readouterr().out
    assert text.startswith("4 documents of 3 characters, 3456 parameters\n2 tapes, one for each")
    assert re.findall(r"^step (\d+) of 12: loss [\d.]+$", text, re.MULTILINE)[-1] == "12"
    shown = re.search(
        r"^a step: ([\d.]+) ms, of a class in plain Python ([\d.]+) ms, [\d,]+ times as much; "
        r"the losses of 2 steps agree$",
        text, re.MULTILINE,
    )  # fmt: skip
    assert shown
    made = text[shown.end() :].splitlines()[1:]
    assert len(made) == 4
    assert set("".join(made)) <= set("abc")
    assert run(*options) == 0
    assert capsys.readouterr().out.splitlines()[-4:] == made


def test_steps_equal_the_loop_on_values():
    alphabet = Alphabet("abc")
    data = microgpt._start(alphabet.size, microgpt.random.Random(1))
    documents = [microgpt._document(alphabet, word) for word in ("ab", "cab", "b", "ab")]
    recorded = microgpt._Recorded(data, documents)
    losses = recorded.train(documents)
    model = GPT(Value, data=data)
    adam = optim.Adam(model.parameters(), betas=(0.85, 0.99))
    for step, document in enumerate(documents):
        adam.zero_grad()
        loss = model.cross_entropy(*document)
        loss.backward()
        adam.lr = 0.01 * (1 - step / 4)
        adam.step()
        assert losses[step] == pytest.approx(loss.data, rel=1e-9)
    for p, q in zip(recorded.parameters, model.parameters(), strict=True):
        assert p.data == pytest.approx(q.data, rel=1e-6, abs=1e-9)


def test_document_longer_than_a_context_is_cut():
    alphabet = Alphabet("ab")
    given, wanted = microgpt._document(alphabet, "ab" * 20)
    assert (given[0], len(given), len(wanted)) == (0, 16, 16)
    assert given[1:] == wanted[:-1]
    assert microgpt._document(alphabet, "b") == ([0, 2], [2, 0])


def test_words_end_at_a_full_context():
    alphabet = Alphabet("ab")
    data = microgpt._start(alphabet.size, microgpt.random.Random(1))
    data["head"][0] = [0.0] * 16
    recorded = microgpt._Recorded(data, [])
    rng = microgpt.random.Random(1)
    recorded.model.logits = lambda *_: [-1000.0, 0.0, 0.0]
    assert len(microgpt._word(recorded, alphabet, 1.0, rng)) == 16


def test_plain_class_with_other_losses_gets_no_factor(words, capsys, monkeypatch):
    class Wrong(plain.Value):
        def exp(self):
            return super().exp() * 1.001 + 0.01

    monkeypatch.setattr(microgpt.plain, "Value", Wrong)
    with pytest.raises(FastgradRuntimeError, match="step 0 of the plain class"):
        microgpt.run_microgpt(str(words), steps=2)
    assert "times as much" not in capsys.readouterr().out


def test_no_steps_and_no_comparison_leave_them_out(words, capsys):
    assert run(words, "--steps", "0", "--samples", "0") == 0
    assert run("--steps", "21", "--plain-steps", "0", "--samples", "0") == 0
    text = capsys.readouterr().out
    assert "a step:" not in text
    assert "400 documents" in text


@pytest.mark.parametrize(
    ("content", "fragment"), [(None, "No such file"), (b" \n", "at least one line")]
)
def test_file_without_documents_is_an_error(content, fragment, tmp_path, capsys):
    path = tmp_path / "some"
    if content is not None:
        path.write_bytes(content)
    assert run(path) == 2
    assert fragment in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--temperature", "0"], ["--temperature", "x"]])
def test_temperature_of_no_use_is_refused(options, capsys):
    with pytest.raises(SystemExit) as left:
        run(*options)
    assert left.value.code == 2
    assert "a number from 0.01 to 100" in capsys.readouterr().err
