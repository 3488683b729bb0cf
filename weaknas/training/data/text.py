"""Texts for language modelling: of files, and the one that comes with Python."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weaknas.errors import InputError
from weaknas.training.data._base import Dataset
from weaknas.training.data._files import candidate_paths, missing, read_bytes
from weaknas.training.data._samples import windows

NAME = "text"
UNKNOWN, END = "<unk>", "<eos>"
#: Tokens of a window, as of Zaremba et al., 2014, arXiv:1409.2329, and of ENAS.
LENGTH = 35
_PARTS = ("train", "valid", "test")
_WORD = re.compile(r"\w+|[^\w\s]")
# Types seen less often in the training part are <unk>; files in Mikolov's form have it already.
_LEAST = 3
_HINT = "it is a folder with train.txt, valid.txt and test.txt, or one text file"


def read_words(path: str | os.PathLike[str] | None) -> Dataset:
    """Words of a text file, or of train.txt, valid.txt and test.txt as Mikolov's PTB has them.

    Three files are taken as they are: words between blanks, ``<eos>`` at the end of each
    line, all types of the training part as vocabulary. One file is cut into lower-case words
    and marks and split 80/10/10 by contiguous blocks; types seen less than 3 times in the
    training part are ``<unk>``.
    """
    return _read("words", path)


def read_characters(path: str | os.PathLike[str] | None) -> Dataset:
    """Characters of a text file, or of train.txt, valid.txt and test.txt.

    One file is split 80/10/10 by contiguous blocks; characters seen less than 3 times in
    the training part are ``<unk>``.
    """
    return _read("characters", path)


def read_pydoc(*, length: int = LENGTH) -> Dataset:
    """Words of the help topics that come with Python, 114,000 tokens; split 80/10/10.

    The text differs between minor versions of Python: its hash and the version are kept
    with all results.
    """
    return _pydoc("words", "pydoc", length)


def read_pydoc_characters(*, length: int = LENGTH) -> Dataset:
    """Characters of the help topics that come with Python, 465,000; split 80/10/10."""
    return _pydoc("characters", "pydoc-characters", length)


def language_data(
    name: str,
    parts: Sequence[Sequence[str]],
    *,
    least: int = 1,
    length: int = LENGTH,
    about: Mapping[str, Any] | None = None,
) -> Dataset:
    """Return a data set of a text that has been cut into tokens.

    Each token but the first of a part is predicted once, from those before it in its
    window.

    Parameters
    ----------
    name : str
    parts : three sequences of str
        Tokens for training, validation and test.
    least : int
        Types that the training part has less often are ``<unk>``.
    length : int
        Tokens of a window.
    about : mapping, optional
        Of where the text comes from.

    Raises
    ------
    InputError
        When a part has fewer than two tokens.
    """
    counts = Counter(parts[0])
    types = sorted(token for token, count in counts.items() if count >= least)
    # Also where the training part has none: the others may.
    vocabulary = [UNKNOWN, *(token for token in types if token != UNKNOWN)]
    numbers = {token: number for number, token in enumerate(vocabulary)}
    for part, tokens in zip(("training", "validation", "test"), parts, strict=True):
        if len(tokens) < 2:
            raise InputError(f"{name}: the {part} part has {len(tokens)} tokens, at least 2 needed")
    train, validation, test = (
        windows(np.array([numbers.get(token, 0) for token in tokens]), length) for tokens in parts
    )
    return Dataset(
        name,
        train,
        validation,
        test,
        tuple(vocabulary),
        (length,),
        (),
        (),
        task="language",
        about=dict(about or {}),
    )


def cut(text: str, level: str) -> list[str]:
    """Return the tokens of a text: lower-case words and marks, or characters.

    Parameters
    ----------
    text : str
    level : {"words", "characters"}
    """
    return list(text) if level == "characters" else _WORD.findall(text.lower())


def _read(level: str, path: str | os.PathLike[str] | None) -> Dataset:
    name = NAME if level == "words" else f"{NAME}-{level}"
    places = candidate_paths(NAME, path)
    for place in places:
        if place.is_file():
            return _split(name, _decode(place), level, LENGTH)
        files = [_find(place, part) for part in _PARTS]
        there = [file for file in files if file is not None]
        if len(there) == len(files):
            texts = [_decode(file) for file in there]
            about = {"texts": [_hash(text) for text in texts]}
            return language_data(name, [_lines(text, level) for text in texts], about=about)
        if there:
            absent = next(part for part, file in zip(_PARTS, files, strict=True) if file is None)
            raise InputError(f"{place} has {there[0].name}, but no {absent}.txt beside it")
    raise missing(name, "a text", places, _HINT)


def _find(folder: Path, part: str) -> Path | None:
    """Return the file of a part: ``train.txt``, or ``ptb.train.txt`` as it is published."""
    exact = folder / f"{part}.txt"
    if exact.is_file():
        return exact
    return next(iter(sorted(folder.glob(f"*.{part}.txt"))), None) if folder.is_dir() else None


def _lines(text: str, level: str) -> list[str]:
    if level == "characters":
        return list(text)
    return [token for line in text.splitlines() for token in (*line.split(), END)]


def _split(name: str, text: str, level: str, length: int, **about: Any) -> Dataset:
    tokens = cut(text, level)
    first, second = len(tokens) * 8 // 10, len(tokens) * 9 // 10
    parts = [tokens[:first], tokens[first:second], tokens[second:]]
    about = {"text": _hash(text), **about}
    return language_data(name, parts, least=_LEAST, length=length, about=about)


def _pydoc(level: str, name: str, length: int) -> Dataset:
    from pydoc_data.topics import topics

    text = "\n".join(topics[topic] for topic in sorted(topics))
    return _split(name, text, level, length, python="{}.{}".format(*sys.version_info[:2]))


def _decode(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8: {error}") from error


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
