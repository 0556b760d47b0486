"""`fastgrad.models.makemore`: eight models of words, trained, saved, resumed, asked for words.

Oracle: the model called on Values word by word, finite differences, the counted pairs of a bigram;
for runs in parts the uninterrupted one, bit for bit.
"""

import json
import math
import os
import re
from collections import Counter

import pytest
from helpers.polls import at_each_poll, stop_at

from fastgrad import functional, no_grad
from fastgrad.command.makemore import run_makemore
from fastgrad.errors import FastgradTypeError, FastgradValueError, FileFormatError
from fastgrad.files import container
from fastgrad.models.makemore import DEFAULTS, MODELS, Makemore

pytestmark = pytest.mark.wide
WORDS = ["anna", "ben", "nab", "bena", "ana", "nana", "abba", "enna"]
SMALL = {"n_embd": 2, "n_layer": 1, "n_head": 2, "block_size": 4, "batch_size": 5}
ALL = sorted(MODELS)


def small(model, words=WORDS, **options):
    return Makemore(words, model=model, **{**SMALL, "test_fraction": 0.25, **options})


def state(run):
    return [p.data for p in run.model.parameters()], run.step, run.losses


def eager_loss(run, words):
    """Return the mean loss of all characters, on Values."""
    total = count = 0
    block = run.options.block_size
    with no_grad():
        for word in words:
            numbers = [run.alphabet.characters.index(c) + 1 for c in word]
            for i, target in enumerate([*numbers, 0]):
                before = [0, *numbers[:i]]
                if run.model.sees == "window":
                    scores = run.model(([0] * block + numbers[:i])[-block:])
                else:
                    begin = i - i % block
                    scores = run.model(before[begin:] + [0] * (block - len(before[begin:])))
                    scores = scores[i - begin]
                total += float(functional.cross_entropy(scores, target))
                count += 1
    return total / count


@pytest.mark.parametrize("model", ALL)
def test_loss_is_that_of_the_model_called_word_by_word(model):
    run = small(model, test_fraction=0.0)
    assert run.loss() == pytest.approx(eager_loss(run, WORDS), rel=1e-12)
    assert math.isnan(run.loss("test"))


@pytest.mark.parametrize("model", ALL)
def test_gradient_is_that_of_finite_differences(model):
    run = small(model, block_size=3)
    arguments = run._drawn_from()._at(range(4))
    tape = run._tape("loss")
    _, gradient = tape.value_and_grad(*arguments)
    parameters = run.model.parameters()
    assert tape.parameters == parameters
    for i in range(0, len(parameters), max(1, len(parameters) // 7)):
        h, at = 1e-5, parameters[i].data
        parameters[i].data = at + h
        above = sum(tape(*arguments)) / len(arguments[1])
        parameters[i].data = at - h
        below = sum(tape(*arguments)) / len(arguments[1])
        parameters[i].data = at
        assert gradient[i] == pytest.approx((above - below) / (2 * h), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("model", ALL)
def test_training_lowers_the_loss_and_makes_words_of_the_alphabet(model):
    run = small(model, lr=0.05)
    before = run.loss()
    losses = run.train(30)
    assert (run.step, len(losses), run.losses) == (30, 30, losses)
    assert run.loss() < before
    words = run.sample(6)
    assert len(words) == 6
    assert set("".join(words)) <= set("abne")
    assert all(word.startswith("be") for word in run.sample(3, start="be"))
    assert run.sample(4, seed=1) == run.sample(4, seed=1)


@pytest.mark.parametrize("model", ALL)
def test_resumed_run_equals_the_uninterrupted_one(model, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    whole, part = small(model), small(model)
    whole.train(13)
    part.train(6)
    part.save(path)
    again = small(model)
    again.resume(path)
    again.train(7)
    assert state(again) == state(whole)
    assert again.sample(5) == whole.sample(5)
    again.save(path)
    loaded = Makemore.load(path)
    assert loaded.sample(5) == whole.sample(5)
    assert state(loaded) == state(whole)


@pytest.mark.parametrize("model", [name for name in ALL if name != "bigram"])
def test_dropout_is_drawn_by_the_step_and_left_out_of_losses(model, tmp_path):
    whole, part, none = small(model, dropout=0.4), small(model, dropout=0.4), small(model)
    assert whole.loss() == none.loss()
    whole.train(9)
    part.train(4)
    part.loss()
    part.save(tmp_path / "checkpoint")
    again = small(model, dropout=0.4, threads=2)
    again.resume(tmp_path / "checkpoint")
    again.train(5)
    assert state(again) == state(whole)
    assert again.loss("test") == whole.loss("test")
    assert again.sample(4) == whole.sample(4)
    assert none.train(9)[:1] != whole.losses[:1]
    assert none.loss() != whole.loss()


def test_dropout_of_each_chunk_is_another():
    losses = []
    for step in (0, 100, 200):  # each from the same numbers, on the same samples
        run = small("mlp", dropout=0.5)
        samples, run.step = run._drawn_from(), step
        kept = samples.drawn(0)
        samples.drawn = lambda _, kept=kept: kept
        losses += run.train(1)
    assert len(set(losses)) == 3


def test_resume_in_another_chunk_and_at_another_rate(tmp_path):
    path = tmp_path / "checkpoint"
    runs = [small("mlp", lr_decay_steps=103) for _ in range(3)]
    runs[0].train(220)
    runs[1].train(101)
    runs[1].save(path)
    runs[2].resume(path)
    runs[2].train(1)
    runs[2].train(118)
    assert state(runs[2]) == state(runs[0])
    assert runs[0]._optimizer.lr == pytest.approx(runs[0].options.lr / 10)


def test_interrupted_training_knows_its_steps():
    run, whole = (small("mlp", batch_size=500) for _ in range(2))
    with pytest.raises(KeyboardInterrupt):
        at_each_poll(lambda: run.train(10**6), stop_at(30))
    whole.train(run.step)
    assert run.step > 0
    assert state(run) == state(whole)


def test_same_seed_gives_the_same_numbers_on_any_threads():
    runs = [small("gru", threads=threads) for threads in (1, 2)]
    for run in runs:
        run.train(5)
    assert state(runs[0]) == state(runs[1])
    assert state(small("gru", seed=1))[0] != state(small("gru"))[0]


def test_new_models_leave_the_generator_of_others_alone():
    from fastgrad._random import default_generator

    before = default_generator.state
    small("mlp")
    assert default_generator.state == before


# Bigrams ------------------------------------------------------------------------------------------


def counted(words):
    pairs = Counter(pair for word in words for pair in zip(f".{word}", f"{word}.", strict=True))
    rows = Counter()
    for (before, _), n in pairs.items():
        rows[before] += n
    return -sum(n * math.log(n / rows[a]) for (a, _), n in pairs.items()) / sum(pairs.values())


def test_bigram_comes_within_0_005_nats_of_the_counted_optimum():
    run = Makemore(test_fraction=0)
    run.train(300)
    from fastgrad.models.words import example_words

    assert run.counted_optimum() == pytest.approx(counted(example_words()), rel=1e-12)
    assert run.counted_optimum() < run.loss() < run.counted_optimum() + 0.005


@pytest.mark.skipif("FASTGRAD_NAMES" not in os.environ, reason="set it to makemore's names.txt")
def test_bigram_of_makemores_names_comes_near_the_counted_optimum(tmp_path, capsys):
    assert run_makemore(os.environ["FASTGRAD_NAMES"], out=str(tmp_path), test_fraction=0.0) == 0
    printed = capsys.readouterr().out
    found = re.search(r"train (\S+), counted optimum (\S+)", printed)
    assert float(found[2]) == pytest.approx(2.4540145, abs=5e-5)
    assert abs(float(found[1]) - 2.4540145) < 0.005
    assert "step 300 of 300" in printed


def test_bigram_of_mini_batches_learns_too():
    run = Makemore(WORDS, model="bigram", batch_size=64, lr=0.1, test_fraction=0)
    run.train(200)
    assert run.loss() < run.counted_optimum() + 0.1


# Odd data -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize(
    "words",
    [["a"], ["a", "aa", "aaa"], ["東京", "🙂ñ"], ["abcabcabcabc"]],
    ids=["one", "one character", "unicode", "longer than a context"],
)
def test_odd_words_are_learnt(model, words):
    run = small(model, words, block_size=3, batch_size=50, lr=0.02)
    losses = run.train(3)
    assert all(map(math.isfinite, losses))
    assert math.isfinite(run.loss())
    assert set("".join(run.sample(3))) <= set("".join(words))


@pytest.mark.parametrize("model", ALL)
def test_block_size_of_1_works(model):
    run = small(model, block_size=1)
    run.train(2)
    assert run.loss() == pytest.approx(
        eager_loss(run, [w for i, w in enumerate(WORDS) if i not in held(run)]), rel=1e-12
    )


def held(run):
    from fastgrad.models.words import split

    return split(len(WORDS), run.options.test_fraction, run.options.seed)


def test_default_context_is_what_the_longest_line_needs_at_most_16():
    assert Makemore(["ab", "abc"], model="mlp").options.block_size == 4
    assert Makemore(["ab" * 30], model="mlp").options.block_size == 16


def test_file_and_list_of_its_lines_are_the_same(tmp_path):
    path = tmp_path / "words"
    path.write_text("\r\n".join([*WORDS, ""]), "utf-8", newline="")
    runs = small("mlp", path), small("mlp", iter(WORDS))
    for run in runs:
        run.train(4)
    assert state(runs[0]) == state(runs[1])
    assert runs[0].sizes() == (6, 2)


def test_words_without_end_have_100_characters():
    run = small("bigram")
    for row in run.model.logits:
        row[0].data = -1000.0
    assert {len(word) for word in run.sample(3)} == {100}


def test_start_with_an_unseen_character_is_refused():
    with pytest.raises(FastgradValueError, match="got 'z'"):
        small("mlp").sample(1, start="az")


@pytest.mark.parametrize(
    ("options", "error", "fragment"),
    [
        ({"model": "gpt"}, FastgradValueError, "one of bigram, mlp, rnn, gru, lstm, bow, cnn"),
        ({"layers": 3}, FastgradTypeError, "got 'layers' (Makemore)"),
        ({"n_embd": 2.5}, FastgradValueError, "an integer of at least 0, got 2.5 (n_embd"),
        ({"lr": -1.0}, FastgradValueError, "a number of at least 0, got -1.0 (lr"),
        ({"lr": math.inf}, FastgradValueError, "got inf (lr"),
        ({"seed": True}, FastgradValueError, "got True (seed"),
        ({"test_fraction": 1.0}, FastgradValueError, "expected less than 1, got 1.0"),
        ({"dropout": 1}, FastgradValueError, "expected less than 1, got 1 (dropout"),
        ({"model": "bigram", "dropout": 0.5}, FastgradValueError, "expected 0 for a bigram"),
        ({"model": "transformer", "n_embd": 3}, FastgradValueError, "a divisor of n_embd, 3"),
    ],
)
def test_options_of_no_use_are_refused(options, error, fragment):
    with pytest.raises(error) as caught:
        small(**{"model": "mlp", **options})
    assert fragment in str(caught.value)


def test_every_model_has_defaults_and_only_those():
    assert DEFAULTS.keys() == MODELS.keys()


# Checkpoints --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        ({"lr": 0.1}, "lr as in"),
        ({"model": "bow"}, "model as in"),
        ({"words": WORDS[1:]}, "words as in"),
    ],
)
def test_checkpoint_of_another_run_is_refused(change, fragment, tmp_path):
    path = tmp_path / "checkpoint"
    small("mlp").save(path)
    run = small(**{"model": "mlp", **change})
    before = state(run)
    with pytest.raises(FastgradValueError) as caught:
        run.resume(path)
    assert fragment in str(caught.value)
    assert state(run) == before


def test_loaded_model_has_no_lines_to_train_on(tmp_path):
    path = tmp_path / "checkpoint"
    small("mlp").save(path)
    with pytest.raises(FastgradValueError, match="make it with Makemore"):
        Makemore.load(path).train(1)
    with pytest.raises(FastgradValueError, match="test lines"):
        Makemore.load(path).loss("test")


def rewritten(path, about=None, arrays=None, metadata=None):
    """Change a checkpoint: what it says of itself, its arrays, its metadata."""
    content = path.read_bytes()
    header, data, start = container.header_and_data(content)
    old = header.pop("__metadata__")
    found = container.tensors(header, data, start, dict.fromkeys(header, "F64"))
    said = {**json.loads(old["makemore"]), **(about or {})}
    found = {**found, **(arrays or {})}
    new = {"format": old["format"], "makemore": json.dumps(said), **(metadata or {})}
    path.write_bytes(container.pack(new, found, dict.fromkeys(found, "F64")))


OPTIONS = {
    "model": "mlp", "n_layer": 1, "n_head": 2, "n_embd": 2, "block_size": 4, "batch_size": 5,
    "lr": 0.005, "lr_decay_steps": 0, "seed": 0, "test_fraction": 0.25,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        ({"about": {"step": 1}}, "and 1 losses"),
        ({"about": {"step": "1"}}, "a int"),
        ({"about": {"step": -1}}, "step"),
        ({"about": {"optimizer_steps": 2.5}}, "optimizer_steps"),
        ({"about": {"options": {}}}, "the key 'model'"),
        ({"about": {"options": {**OPTIONS, "lr": "x"}}}, "a float"),
        ({"about": {"options": {**OPTIONS, "n_embd": -1}}}, "n_embd"),
        ({"about": {"options": {**OPTIONS, "n_embd": 10**9}}}, "n_embd"),
        ({"about": {"options": {**OPTIONS, "model": "gpt"}}}, "one of bigram"),
        ({"about": {"options": {**OPTIONS, "dropout": 1.5}}}, "dropout"),
        ({"about": {"more": 1}}, "known keys only"),
        ({"arrays": {"parameters": bytes(8)}}, "expected arrays of"),
        ({"arrays": {"optimizer.0": bytes(8)}}, "expected arrays of"),
        ({"arrays": {"more": bytes(8)}}, "known keys only"),
        ({"metadata": {"format": "pt"}}, "format fastgrad.makemore"),
        ({"metadata": {"makemore": "{"}}, "JSON"),
    ],
)
def test_damaged_checkpoint_is_refused(change, fragment, tmp_path):
    path = tmp_path / "checkpoint"
    small("mlp").save(path)
    rewritten(path)
    Makemore.load(path)
    rewritten(path, **change)
    for read in (Makemore.load, small("mlp").resume):
        with pytest.raises((FileFormatError, FastgradValueError)) as caught:
            read(path)
        assert fragment in str(caught.value)


def test_cut_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint"
    small("bigram").save(path)
    content = path.read_bytes()
    for size in (0, 7, 100, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(FileFormatError):
            Makemore.load(path)


@pytest.mark.nightly
def test_ten_million_lines_are_kept_as_bytes(tmp_path):
    path = tmp_path / "lines.txt"
    count, text = 10_000_000, "abcdefg"
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{text[i % 7 :]}\n" for i in range(count))
    run = Makemore(path, model="bigram", batch_size=100)
    lines = run._lines("train")
    assert run.sizes() == (count - 1000, 1000)
    assert len(lines.data) < (4 + 1) * count + 2
    assert lines.starts.itemsize * len(lines) < 8 * count
    assert lines.tokens == pytest.approx(5 * count, rel=1e-2)
