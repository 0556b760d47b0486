"""Lines as training data: reading, alphabets, windows, sequences, the split.

Oracle: the same in loops over plain lists.
"""

import pytest

from fastgrad.errors import FastgradTypeError, FastgradValueError
from fastgrad.models.words import Alphabet, Lines, alphabet_of, example_words, read_lines, split

WORDS = ["anna", "b", "nab", "bananas"]
WIDE = [chr(0x4E00 + i) + chr(0x1F600 + i % 7) for i in range(300)]


def lines_of(words, context):
    return Lines(words, alphabet_of(words, "words")[0], context)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"anna\nbo\n", ["anna", "bo"]),
        (b"anna\r\nbo\r\n\r\n", ["anna", "bo"]),
        (b"anna\rbo", ["anna", "bo"]),
        (b"\n\n  anna  \n\t\nbo", ["anna", "bo"]),
        (b"\xef\xbb\xbfanna\n", ["anna"]),
        ("ñandú\n東京\n🙂".encode(), ["ñandú", "東京", "🙂"]),
        (b"", []),
        (b" \n\r\n", []),
    ],
)
def test_lines_of_a_file_are_stripped_and_not_empty(tmp_path, content, expected):
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    assert list(read_lines(path)) == list(read_lines(str(path))) == expected
    assert list(read_lines(content.decode("utf-8-sig").splitlines())) == expected


def test_bytes_that_are_no_utf_8_are_refused(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes(b"anna\n\xff\n")
    with pytest.raises(FastgradValueError, match=r"expected UTF-8 text, got byte 0xff \(.*words"):
        list(read_lines(path))


@pytest.mark.parametrize(("words", "got"), [(7, "int 7"), (["a", b"b"], "bytes b'b'")])
def test_words_that_are_no_texts_are_refused(words, got):
    with pytest.raises(FastgradTypeError, match=got):
        list(read_lines(words))


def test_alphabet_has_each_character_once_in_order():
    alphabet, count, longest = alphabet_of(WORDS, "words")
    assert (alphabet.characters, alphabet.size, count, longest) == ("abns", 5, 4, 7)
    assert alphabet.decode(alphabet.encode("snab")) == "snab"


def test_no_line_at_all_is_an_error():
    with pytest.raises(FastgradValueError, match="at least one line that is not empty, got none"):
        alphabet_of(["", " "], "words")


def test_character_outside_the_alphabet_is_named():
    with pytest.raises(
        FastgradValueError, match="characters of the training lines, 'abns', got 'x'"
    ):
        alphabet_of(WORDS, "words")[0].encode("nabx")


@pytest.mark.parametrize("words", [WORDS, WIDE, ["a"]], ids=["narrow", "wide", "one"])
@pytest.mark.parametrize("context", [1, 3, 8])
def test_windows_are_the_characters_before_each(words, context):
    lines = lines_of(words, context)
    x, t = lines.windows(lines.window_places())
    expected = []
    for word in words:
        numbers = [0] * context + [lines.alphabet.characters.index(c) + 1 for c in word] + [0]
        places = range(context, len(numbers))
        expected += [(numbers[i - context : i], numbers[i]) for i in places]
    assert list(zip(x.tolist(), t.tolist(), strict=True)) == expected
    assert lines.tokens == len(expected)


@pytest.mark.parametrize("words", [WORDS, WIDE], ids=["narrow", "wide"])
@pytest.mark.parametrize("context", [1, 3, 8])
def test_sequences_cut_and_pad_lines(words, context):
    lines = lines_of(words, context)
    places = lines.sequence_places()
    x, t = lines.sequences(zip(places[::2], places[1::2], strict=True))
    expected = []
    for word in words:
        numbers = [0, *(lines.alphabet.characters.index(c) + 1 for c in word), 0]
        for i in range(0, len(numbers) - 1, context):
            before, after = numbers[i:-1][:context], numbers[i + 1 :][:context]
            rest = context - len(after)
            expected.append((before + [0] * rest, after + [lines.alphabet.pad] * rest))
    assert list(zip(x.tolist(), t.tolist(), strict=True)) == expected


def test_memory_of_narrow_lines_is_a_byte_for_each_number():
    lines = lines_of(WORDS, 3)
    assert len(lines.data) == 3 + sum(len(word) + 3 for word in WORDS)
    assert lines.starts.itemsize * len(lines) == 8 * len(WORDS)


def test_digest_tells_lines_apart():
    assert lines_of(WORDS, 3).digest() == lines_of(tuple(WORDS), 3).digest()
    assert lines_of(WORDS, 3).digest() != lines_of(WORDS[::-1], 3).digest()


@pytest.mark.parametrize(
    ("count", "fraction", "held"),
    [(100, 0.1, 10), (100, 0, 0), (1, 0.9, 0), (2, 0.99, 1), (50_000, 0.1, 1000)],
)
def test_split_holds_back_a_fraction(count, fraction, held):
    found = split(count, fraction, seed=3)
    assert len(found) == held
    assert found <= set(range(count))
    assert found == split(count, fraction, seed=3)


def test_split_of_another_seed_is_another():
    assert split(100, 0.5, 1) != split(100, 0.5, 2)


def test_example_words_are_several_hundred_different_names():
    words = example_words()
    assert len(words) == len(set(words)) >= 300
    assert all(word.isascii() and word.isalpha() and word.islower() for word in words)


def test_alphabet_of_254_characters_still_takes_a_byte():
    characters = "".join(map(chr, range(0x100, 0x100 + 255)))
    assert Alphabet(characters[:-1]).bytes == 1
    assert Alphabet(characters).bytes == 4
