"""Trials and the journal: what a crash, another program or a full disk may do to it."""

from __future__ import annotations

import errno
import json
import math
import os
import pickle
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaknas.errors import InputError
from weaknas.evaluators import Evaluation
from weaknas.runs.journal import Journal, read_journal
from weaknas.runs.records import Records, decode, encode
from weaknas.runs.trials import Trial, Trials
from weaknas.spaces import ChoiceSpace

SPACE = ChoiceSpace({"a": ["x", "y", "z"], "b": [1, 2]})
CONFIG = {"budget": 6, "strategy": {"seed": 0, "deep": {"rate": 0.1}}}


def trial(number, score=0.5, **fields):
    architecture = SPACE.architectures(SPACE.enumerate()[[number % 6]])[0]
    return Trial(number, number // 2, architecture, Evaluation(score, **fields), 0.25)


TRIALS = [
    trial(0, 0.1 + 0.2, metrics={"seconds": 3.5, "loss": 1e-300}, cost=12.0),
    trial(1, math.nan, status="failed", message='ValueError: "ü"\n  no'),
    trial(2, -1e17, fidelity=12.0),
]


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Records that were written at one time have the same bytes."""
    monkeypatch.setattr("weaknas.runs.journal.time", SimpleNamespace(time=lambda: 1.5))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "journal.jsonl"


@pytest.fixture
def journal(path):
    """The bytes of a journal of three trials."""
    with Journal(path, CONFIG) as file:
        for item in TRIALS:
            file.append(item)
    return path.read_bytes()


def same(first, second):
    return [t.to_dict() for t in first] == [t.to_dict() for t in second]


# -- trials ---------------------------------------------------------------------------------


@given(st.floats(allow_nan=False, allow_infinity=False), st.text(), st.none() | st.floats(0, 1))
def test_a_trial_comes_back_exactly(score, message, fidelity):
    item = trial(3, score, message=message, fidelity=fidelity, metrics={"m": score})
    line = json.dumps(item.to_dict(), allow_nan=False)
    assert "\n" not in line
    assert Trial.from_dict(json.loads(line)) == item


@pytest.mark.parametrize("field", [name for name in TRIALS[0].to_dict() if name != "repeat"])
def test_a_record_that_lacks_a_field(field):
    record = TRIALS[0].to_dict()
    del record[field]
    with pytest.raises(InputError):
        Trial.from_dict(record)


@pytest.mark.parametrize(
    ("field", "value"),
    [("score", "x"), ("metrics", 3), ("metrics", {"a": "b"}), ("number", None), ("cost", None),
     ("architecture", "x"), ("architecture", {}), ("fidelity", "all"), ("seconds", []),
     ("number", 5.7), ("number", True), ("number", -1), ("number", "3"), ("round", -3),
     ("round", 1.0), ("score", None), ("score", math.inf), ("score", math.nan), ("score", True),
     ("score", 10**400), ("status", "failed"), ("status", 3), ("cost", -0.5), ("cost", math.inf),
     ("cost", "12"), ("metrics", {"a": math.inf}), ("metrics", []), ("fidelity", -1.0),
     ("fidelity", math.inf), ("message", None), ("seconds", -1), ("seconds", math.nan),
     ("unheard-of", 1)],
)  # fmt: skip
def test_a_record_with_a_wrong_field(field, value):
    with pytest.raises(InputError):
        Trial.from_dict(TRIALS[0].to_dict() | {field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("genotype", [0, 5.7]), ("genotype", [0, "1"]), ("genotype", [0, -1]), ("genotype", 3),
     ("genotype", [True, 0]), ("id", 7), ("text", None), ("space", [])],
)  # fmt: skip
def test_a_record_with_a_wrong_architecture(field, value):
    record = TRIALS[0].to_dict()
    record["architecture"][field] = value
    with pytest.raises(InputError):
        Trial.from_dict(record)


def test_a_failed_record_has_no_score():
    with pytest.raises(InputError, match=r"score is 1\.0 where the status is 'failed'"):
        Trial.from_dict(TRIALS[1].to_dict() | {"score": 1.0})


def test_table_of_trials():
    table = Trials(tuple(TRIALS))
    assert len(table) == 3
    assert table[1] is TRIALS[1]
    assert isinstance(table[1:], Trials)
    assert table.best_observed is TRIALS[0]
    assert table.genotypes.tolist() == [[0, 0], [0, 1], [1, 0]]
    np.testing.assert_array_equal(table.scores, [0.1 + 0.2, np.nan, -1e17])
    np.testing.assert_array_equal(table.costs, [12.0, 0.0, 0.0])
    columns = table.columns()
    assert {len(column) for column in columns.values()} == {3}
    assert columns["architecture"][2] == "a=y,b=1"
    assert columns["loss"] == [1e-300, None, None]
    # a metric may not hide what every trial has
    assert columns["seconds"] == [0.25] * 3
    assert columns["metric_seconds"] == [3.5, None, None]
    assert Trials().best_observed is None
    assert Trials((TRIALS[1],)).best_observed is None
    assert len(pickle.loads(pickle.dumps(table))) == 3  # noqa: S301


def test_the_earlier_of_two_equal_scores_is_best():
    assert Trials((trial(0, 1.0), trial(1, 2.0), trial(2, 2.0))).best_observed.number == 1


def test_pandas_reads_the_columns():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(Trials(tuple(TRIALS)).columns())
    assert frame.query("status == 'ok'")["score"].max() == 0.1 + 0.2


# -- the journal, when all is well ----------------------------------------------------------


def test_reopened(journal, path):
    with Journal(path, CONFIG) as file:
        assert same(file.trials, TRIALS)
        file.append(trial(3))
    assert path.read_bytes().startswith(journal)
    with Journal(path, CONFIG) as file:
        assert same(file.trials, [*TRIALS, trial(3)])


def test_form(journal):
    lines = journal.decode().splitlines()
    assert journal.endswith(b"\n")
    records = [decode(line.encode()) for line in lines]
    assert records[0] == ({"weaknas_journal": 2, "config": CONFIG}, True)
    assert all(is_checked for _, is_checked in records)
    assert [json.loads(line)["number"] for line in lines[1:]] == [0, 1, 2]
    assert json.loads(lines[2])["score"] is None


def test_every_record_is_on_the_disk_before_append_returns(path, monkeypatch):
    on_disk = []
    fsync = os.fsync

    def watched(handle):
        fsync(handle)
        if os.fstat(handle).st_ino == path.stat().st_ino:
            on_disk.append(path.read_bytes())

    monkeypatch.setattr(os, "fsync", watched)
    with Journal(path, CONFIG) as file:
        for count, item in enumerate(TRIALS, start=2):
            file.append(item)
            assert len(on_disk) == count
            assert on_disk[-1] == path.read_bytes()
            assert on_disk[-1].count(b"\n") == count


# -- torn, corrupt, foreign -----------------------------------------------------------------


def test_cut_anywhere_it_keeps_the_whole_records(journal, path):
    newlines = [at for at, byte in enumerate(journal) if byte == 10]
    ends = {at + shift for at in newlines for shift in (-1, 0, 1, 2)}
    for end in sorted({*range(20), *range(0, len(journal), 37), *ends} - {len(journal) + 1}):
        path.write_bytes(journal[:end])
        with Journal(path, CONFIG) as file:
            kept = sum(at <= end for at in newlines)  # one that lacks its newline included
            assert same(file.trials, TRIALS[: max(kept - 1, 0)])
            for item in TRIALS[len(file.trials) :]:
                file.append(item)
        assert path.read_bytes() == journal


def unchecked(journal):
    """The journal in format 1, as versions before 0.2 wrote it."""
    return re.sub(rb',"check":"[^"]*"', b"", journal).replace(b'nal":2', b'nal":1')


def test_format_1_is_read_and_continued(journal, path):
    old = unchecked(journal)
    assert b"check" not in old
    for end in range(old.index(b"\n") + 1, len(old) + 1):
        path.write_bytes(old[:end])
        whole = old[: end + 1 if old[end : end + 1] == b"\n" else end]  # a newline may be missing
        start = whole[: whole.rfind(b"\n") + 1]
        kept = start.count(b"\n") - 1
        with Journal(path, CONFIG) as file:
            assert same(file.trials, TRIALS[:kept])
            file.append(trial(7))
        assert path.read_bytes().startswith(start)
        with Journal(path, CONFIG) as file:
            assert same(file.trials, [*TRIALS[:kept], trial(7)])


DAMAGES = {
    "blank": lambda lines: [lines[0], b"", *lines[1:]],
    "zeros": lambda lines: [lines[0], b"\x00" * 40, *lines[1:]],
    "cut": lambda lines: [lines[0], lines[1][:-10], *lines[2:]],
    "list": lambda lines: [lines[0], b"[]", *lines[2:]],
    "empty": lambda lines: [lines[0], b"{}", *lines[2:]],
    "deep": lambda lines: [lines[0], b"[" * 100_000, *lines[2:]],
    "digits": lambda lines: [lines[0], b'{"number":' + b"9" * 5000 + b"}", *lines[2:]],
    "text": lambda lines: [
        lines[0], lines[1].replace(b'"score":0.3', b'"score":"x'), *lines[2:]],
    "infinite": lambda lines: [
        *lines[:3], lines[3].replace(b'"score":-1e+17', b'"score":-1e999'), *lines[4:]],
    "constant": lambda lines: [
        *lines[:3], lines[3].replace(b'"score":-1e+17', b'"score":Infinity'), *lines[4:]],
    "metrics": lambda lines: [
        lines[0], lines[1].replace(b'"metrics":{', b'"metrics":[{'), *lines[2:]],
    "bytes": lambda lines: [lines[0], b"\xff\xfe", *lines[2:]],
    "twice": lambda lines: [lines[0], lines[1], lines[1], *lines[2:]],
    "header cut": lambda lines: [lines[0][:-3], *lines[1:]],
    "header cut short": lambda lines: [lines[0][:20], *lines[1:]],
    "another field": lambda lines: [lines[0], lines[1][:-1] + b',"more":1}', *lines[2:]],
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("tail", [b"", b'{"number":3,"rou'])
@pytest.mark.parametrize("form", [1, 2])
def test_a_corrupt_middle_is_refused_and_nothing_changes(journal, path, damage, tail, form):
    before = journal if form == 2 else unchecked(journal)
    content = b"\n".join(DAMAGES[damage](before.split(b"\n"))) + tail
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged at line \d; nothing was changed") as caught:
        Journal(path, CONFIG)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content
    with pytest.raises(InputError, match=r"damaged at line \d"):
        read_journal(path)


@pytest.mark.parametrize("gone", [b"", b" ", b"\r"])
@pytest.mark.parametrize("form", [1, 2])
def test_a_journal_whose_newlines_are_gone_is_refused(journal, path, gone, form):
    content = (journal if form == 2 else unchecked(journal)).replace(b"\n", gone)
    for damaged in (content, content[:-30], content.replace(b'"config"', b'"conf', 1)):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="damaged at line 1; nothing was changed"):
            Journal(path, CONFIG)
        assert path.read_bytes() == damaged


def test_every_single_bit_that_is_flipped_is_noticed(journal, path):
    rng = np.random.default_rng(0)
    for place in rng.choice(8 * len(journal), 300, replace=False).tolist():
        flipped = bytearray(journal)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(InputError, match=r"damaged|not a journal|of format"):
            Journal(path, CONFIG)
        with pytest.raises(InputError, match=r"damaged|not a journal|of format"):
            read_journal(path)
        assert path.read_bytes() == flipped


@pytest.mark.parametrize(
    "content",
    [b"hello", b"my notes\nand more", b"my notes\n", b"\x00" * 100, b"{}\n", b'{"a":1}\ntorn'],
)
def test_a_foreign_file_is_refused_and_nothing_changes(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not a journal; nothing was changed"):
        Journal(path, CONFIG)
    assert path.read_bytes() == content


def test_another_format_version_is_refused(journal, path):
    content = journal.replace(b'{"weaknas_journal":2', b'{"weaknas_journal":9') + b"torn"
    path.write_bytes(content)
    with pytest.raises(InputError, match="format 9, where 1 and 2 are read"):
        Journal(path, CONFIG)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("config", "difference"),
    [
        ({"budget": 6, "strategy": {"seed": 1, "deep": {"rate": 0.1}}}, "strategy.seed = 0, not 1"),
        (
            {"budget": 6, "strategy": {"seed": 0, "deep": {"rate": 0.2}}},
            "strategy.deep.rate = 0.1, not 0.2",
        ),
        ({"budget": 6}, 'strategy = {"seed": 0, "deep": {"rate": 0.1}}, not null'),
        (CONFIG | {"new": "x"}, 'new = null, not "x"'),
    ],
)
def test_another_configuration_is_refused_and_the_difference_named(
    journal, path, config, difference
):
    path.write_bytes(journal + b"torn")
    with pytest.raises(InputError) as caught:
        Journal(path, config)
    assert f"holds a run with {difference}; choose another" in str(caught.value)
    assert path.read_bytes() == journal + b"torn"


def test_equal_configurations_of_other_types_are_equal(journal, path):
    with Journal(path, {"strategy": {"deep": {"rate": 0.1}, "seed": 0}, "budget": 6}) as file:
        assert len(file.trials) == 3


def test_another_budget_is_written_before_the_next_trial(journal, path):
    with Journal(path, CONFIG | {"budget": 9, "budget_cost": 2.5}) as file:
        assert same(file.trials, TRIALS)
        assert path.read_bytes() == journal
        assert read_config(path)["budget"] == 6
        file.append(trial(3))
        file.append(trial(4))
    records = [decode(line)[0] for line in path.read_bytes()[len(journal) :].splitlines()]
    assert records[0] == {"budget": 9, "budget_cost": 2.5}
    assert [record["number"] for record in records[1:]] == [3, 4]
    assert read_config(path) == CONFIG | {"budget": 9, "budget_cost": 2.5}
    content = path.read_bytes()
    Journal(path, CONFIG | {"budget": 9, "budget_cost": 2.5}).close()
    with Journal(path, CONFIG) as file:
        assert same(file.trials, [*TRIALS, trial(3), trial(4)])
        file.append(trial(5))
    assert path.read_bytes().startswith(content)
    assert read_config(path) == CONFIG | {"budget_cost": None}


def read_config(path):
    return Records.read(path, path.read_bytes()).config


def test_a_failed_trial_may_be_followed_by_another_record_of_it(journal, path):
    again = replace(TRIALS[1], evaluation=Evaluation(0.7))
    with Journal(path, CONFIG) as file:
        file.append(again)
    with Journal(path, CONFIG) as file:
        assert same(file.trials, [*TRIALS, again])
    assert Records.read(path, path.read_bytes()).latest[1] == again


@pytest.mark.parametrize(
    "second",
    [
        TRIALS[0],
        replace(TRIALS[1], round=2),
        replace(TRIALS[1], architecture=TRIALS[0].architecture),
        replace(TRIALS[1], evaluation=Evaluation(0.7, fidelity=3.0)),
    ],
    ids=["succeeded", "round", "architecture", "fidelity"],
)
def test_no_other_record_is(journal, path, second):
    path.write_bytes(journal + encode(second.to_dict()))
    with pytest.raises(InputError, match="damaged at line 5; nothing was changed: a second trial"):
        Journal(path, CONFIG)


# -- the system in the way ------------------------------------------------------------------


def test_in_use_by_this_process(journal, path):
    with Journal(path, CONFIG), pytest.raises(InputError, match="in use by another process"):
        Journal(path, CONFIG)
    Journal(path, CONFIG).close()
    assert path.read_bytes() == journal


def test_in_use_by_another_process(journal, path):
    code = (
        "import sys, json; from weaknas.runs.journal import Journal;"
        "file = Journal(sys.argv[1], json.loads(sys.argv[2])); print('open', flush=True);"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path), json.dumps(CONFIG)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(InputError, match="in use by another process"):
            Journal(path, CONFIG)
        other.kill()
    with Journal(path, CONFIG) as file:  # the lock died with the process
        assert same(file.trials, TRIALS)
    assert path.read_bytes() == journal


class FullDisk:
    """A file that takes a number of bytes more, then fails as the system does."""

    def __init__(self, file, room, short):
        self._file, self._room, self._short = file, room, short

    def write(self, data):
        if len(data) <= self._room:
            self._room -= len(data)
            return self._file.write(data)
        written = self._file.write(data[: self._room])
        if self._short:
            return written
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name):
        return getattr(self._file, name)


@pytest.mark.parametrize("room", [0, 1, 100])
@pytest.mark.parametrize("short", [True, False])
def test_a_full_disk_leaves_the_last_whole_record(journal, path, room, short):
    with Journal(path, CONFIG) as file:
        file._file = FullDisk(file._file, room, short)
        with pytest.raises(OSError, match=r"full|space") as caught:
            file.append(trial(3))
        assert caught.value.errno == errno.ENOSPC
        assert path.read_bytes() == journal
        assert same(file.trials, TRIALS)
        file._file = file._file._file  # somebody makes room
        file.append(trial(3))
    with Journal(path, CONFIG) as file:
        assert same(file.trials, [*TRIALS, trial(3)])


def test_a_failing_fsync_takes_the_record_back(journal, path, monkeypatch):
    with Journal(path, CONFIG) as file:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "I/O")))
            with pytest.raises(OSError, match="I/O"):
                file.append(trial(3))
        assert path.read_bytes() == journal


def remove_folder(path):
    shutil.rmtree(path.parent)


def replace_by_another(path):
    path.rename(path.with_name("old.jsonl"))
    path.write_bytes(b"somebody else's\n")


def write_to_it(path):
    with path.open("ab") as file:
        file.write(b"somebody else's\n")


def cut(path):
    os.truncate(path, 200)


@pytest.mark.parametrize(
    "damage", [Path.unlink, remove_folder, replace_by_another, write_to_it, cut]
)
@pytest.mark.parametrize("form", [1, 2])
def test_a_journal_that_is_taken_away_is_noticed_and_nothing_lost(journal, path, damage, form):
    path.write_bytes(journal if form == 2 else unchecked(journal))
    with Journal(path, CONFIG) as file:
        file.append(trial(3))
        damage(path)
        theirs = path.read_bytes() if path.exists() else None
        with pytest.raises(OSError, match="while the run wrote to it; all that") as caught:
            file.append(trial(4))
    assert "\n" not in str(caught.value)
    place = Path(str(caught.value).rpartition(" is in ")[2])
    if theirs is None:
        assert "was deleted" in str(caught.value)
        assert place == path
    else:
        assert "was changed" in str(caught.value)
        assert path.read_bytes() == theirs
        place.rename(path)
    with Journal(path, CONFIG) as file:
        assert same(file.trials, [*TRIALS, trial(3), trial(4)])


def test_an_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="cannot write to"):
            Journal(folder / "journal.jsonl", CONFIG)
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(InputError, match="cannot write to"):
        Journal(tmp_path / "journal.jsonl", CONFIG)


def test_a_system_without_locks(path, monkeypatch):
    import fcntl

    def unsupported(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with Journal(path, CONFIG) as file:
        file.append(trial(0))
    assert path.read_bytes().count(b"\n") == 2
