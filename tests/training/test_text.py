"""Texts: how they are cut, what is asked of a network, and the perplexity that comes out."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from weaknas.errors import InputError
from weaknas.training import Protocol, load_dataset
from weaknas.training.data import IGNORED, Samples, windows
from weaknas.training.data.text import END, UNKNOWN, cut, language_data

torch = pytest.importorskip("torch")

from weaknas.training.measure import Examination  # noqa: E402
from weaknas.training.trainer import Trainer  # noqa: E402

CPU = torch.device("cpu")


def small(length: int = 5, words: int = 210):
    """Return a text in which the next word follows from the last one."""
    tokens = [("a", "b", "c", "d", "e")[(3 * place) % 5] for place in range(words)]
    parts = [tokens, tokens[:58], tokens[:33]]
    return language_data("cycle", parts, length=length)


class Bigram(torch.nn.Module):
    """The next token from the last one alone."""

    def __init__(self, types: int) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(types, types)

    def forward(self, tokens):
        return self.table(tokens).transpose(1, 2)


def test_windows_ask_for_each_token_but_the_first_once() -> None:
    samples = windows(np.arange(12), 5)
    assert samples.inputs.shape == samples.labels.shape == (3, 5)
    asked = samples.labels != IGNORED
    assert samples.labels[asked].tolist() == list(range(1, 12))
    assert samples.inputs[asked].tolist() == list(range(11))
    assert samples.task == "language"


def test_words_and_characters() -> None:
    assert cut("The cat's mat.\nIt ", "words") == ["the", "cat", "'", "s", "mat", ".", "it"]
    assert cut("A b", "characters") == ["A", " ", "b"]


def test_rare_types_are_unknown_and_those_of_other_parts_too() -> None:
    data = language_data(
        "t", [["a", "b", "a", "b", "c"], ["a", "z"], ["c", "b"]], least=2, length=4
    )
    assert data.class_names == (UNKNOWN, "a", "b")
    assert data.train.labels[0].tolist() == [2, 1, 2, 0]
    assert data.validation.labels[0, 0] == data.test.inputs[0, 0] == 0


def test_pydoc_says_what_it_is_of() -> None:
    data = load_dataset("pydoc")
    about = data.describe()["about"]
    assert about["python"] == "{}.{}".format(*sys.version_info[:2])
    assert len(about["text"]) == 16
    asked = [
        int((part.labels != IGNORED).sum()) for part in (data.train, data.validation, data.test)
    ]
    assert asked[0] / sum(asked) == pytest.approx(0.8, abs=0.001)
    assert 1000 < data.classes < 3000
    assert 50 < load_dataset("pydoc-characters").classes < 200


def test_folder_in_mikolovs_form(tmp_path: Path) -> None:
    for part, text in {"train": "a <unk> b\nb a\n", "valid": "a c\n", "test": "b b\n"}.items():
        (tmp_path / f"ptb.{part}.txt").write_text(f" {text}")
    data = load_dataset("text", tmp_path)
    assert data.class_names == (UNKNOWN, END, "a", "b")
    assert data.train.labels[0, :6].tolist() == [0, 3, 1, 3, 2, 1]
    (tmp_path / "ptb.test.txt").unlink()
    with pytest.raises(InputError, match=r"no test\.txt beside it"):
        load_dataset("text", tmp_path)


def test_one_file_is_split_in_contiguous_blocks(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("one two three four five six seven eight nine ten " * 10)
    data = load_dataset("text", tmp_path / "book.txt")
    assert (data.train.labels != IGNORED).sum() == 79
    assert (data.test.labels != IGNORED).sum() == 9
    characters = load_dataset("text-characters", tmp_path / "book.txt")
    assert " " in characters.class_names


def test_bad_texts_are_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="no text in UTF-8"):
        load_dataset("text", tmp_path / "bad.txt")
    (tmp_path / "short.txt").write_text("a b c")
    with pytest.raises(InputError, match="validation part has 0 tokens"):
        load_dataset("text", tmp_path / "short.txt")
    with pytest.raises(InputError, match="takes no validation"):
        load_dataset("pydoc", validation=3)
    with pytest.raises(InputError, match="each token has one label"):
        Samples(np.zeros((2, 4), int), np.zeros((2, 3), int))
    with pytest.raises(InputError, match="a token is -1"):
        Samples(np.full((2, 4), -1), np.zeros((2, 4), int))


def test_perplexity_is_that_of_the_definition() -> None:
    data = small()
    torch.manual_seed(0)
    network = Bigram(data.classes)
    value = Examination(data.validation, data, CPU).value(network)
    table = network.table.weight.detach().numpy().astype(float)
    tokens = np.concatenate([data.validation.inputs.ravel()[:57], data.validation.labels[-1:, 1]])
    chances = np.exp(table) / np.exp(table).sum(axis=1, keepdims=True)
    surprise = -np.log(chances[tokens[:-1], tokens[1:]])
    assert len(surprise) == 57
    assert value == pytest.approx(math.exp(surprise.mean()), rel=1e-5)


def test_training_learns_what_follows() -> None:
    data = small()
    protocol = Protocol(epochs=3, batch_size=16, learning_rate=1.0, warmup=1)
    training = Trainer(lambda: Bigram(data.classes), data, protocol, threads=1).run()
    assert training.metric == "perplexity"
    assert 1 <= training.value < 2 < training.curve[0]


def test_image_switches_are_refused() -> None:
    data = small()
    with pytest.raises(InputError, match="flip of the protocol is for images"):
        Trainer(lambda: Bigram(data.classes), data, Protocol(epochs=1, flip=True)).run()
