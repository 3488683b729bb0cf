"""What a run tells while it goes on: lines in a log, times in the journal, what is under way."""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

import weaknas
from weaknas import ChoiceSpace, InputError
from weaknas.commands.search import _tell_interrupted
from weaknas.commands.watch import Options, watch
from weaknas.reports.live import Live, _bars, page, write_page
from weaknas.runs.journal import Journal
from weaknas.runs.progress import duration
from weaknas.runs.records import Records
from weaknas.runs.status import Ongoing, Status
from weaknas.runs.trials import Trial
from weaknas.strategies import RandomSearch

SPACE = ChoiceSpace({"a": list(range(20)), "b": list(range(500))})


def score(architecture: Any) -> float:
    value = float(SPACE.decode(architecture)["a"])
    if value == 7:
        raise ValueError("seven is not trained")
    return value


def slow(architecture: Any) -> float:
    time.sleep(0.06)
    return score(architecture)


def search(budget: int = 10, evaluator: Any = score, **options: Any) -> Any:
    strategy = RandomSearch(SPACE, seed=1, batch_size=4)
    return weaknas.run(strategy, evaluator, budget, **options)


def test_a_log_has_a_line_a_training(capsys: Any, tmp_path: Path) -> None:
    result = search(evaluator=slow, output=tmp_path / "run", progress=True)
    first, *lines, last = capsys.readouterr().err.splitlines()
    assert first.endswith(f"search of choices: 10 queries; run folder: {tmp_path / 'run'}")
    assert len(lines) == 10
    for number, (line, trial) in enumerate(zip(lines, result.trials, strict=True), start=1):
        assert f" {number}/10: " in line
        assert (f": {trial.score:.5g} after" in line) == trial.is_ok
        assert "left" in line
    assert last.endswith(f" 10/10 trainings are done, luckiest {result.best_observed.score:.5g}")
    search(budget=12, evaluator=slow, output=tmp_path / "run", progress=True)
    first, *lines, _ = capsys.readouterr().err.splitlines()
    assert "12 queries, 10 trainings are there" in first
    assert len(lines) == 2


def test_failures_are_told_with_their_reason_and_quick_ones_in_few_lines(capsys: Any) -> None:
    result = search(100, progress=True)
    failed = sum(not trial.is_ok for trial in result.trials)
    lines = capsys.readouterr().err.splitlines()
    assert failed > 0
    assert sum("failed: ValueError: seven is not trained" in line for line in lines) == failed
    assert len(lines) < failed + 50


def test_callbacks_are_called_with_every_training() -> None:
    one: list[Trial] = []
    other: list[Trial] = []
    result = search(progress=one.append, callbacks=[other.append])
    assert one == other == list(result.trials)


def test_the_journal_says_when(tmp_path: Path) -> None:
    begin = time.time()
    search(output=tmp_path)
    path = tmp_path / "journal.jsonl"
    times = Records.read(path, path.read_bytes()).times
    assert [at for at in times if at is None] == []
    known = [at for at in times if at is not None]
    assert known == sorted(known)
    assert begin - 0.01 <= known[0] <= known[-1] <= time.time() + 0.01
    # written before lines had a time
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    before = [{k: v for k, v in line.items() if k not in ("time", "check")} for line in lines]
    before[0]["weaknas_journal"] = 1
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in before))
    assert search(budget=12, output=tmp_path).evaluated == 2
    assert [at is None for at in Records.read(path, path.read_bytes()).times] == [True] * 10 + [
        False
    ] * 2


def test_what_is_under_way_is_seen(tmp_path: Path) -> None:
    seen: list[Status] = []

    def look(architecture: Any) -> float:
        status = Status.read(tmp_path)
        assert status is not None
        seen.append(status)
        time.sleep(0.51 if len(seen) == 1 else 0)  # the next file is due
        return float(len(seen))

    result = search(8, look, output=tmp_path)
    texts = [trial.architecture.text for trial in result.trials]
    assert [item["architecture"] for item in seen[0].running] == texts[:1]
    assert seen[0].waiting == texts[1:4]
    assert seen[0].state == "running"
    assert [item["architecture"] for item in seen[1].running] == texts[1:2]
    after = Status.read(tmp_path)
    assert after is not None
    assert (after.state, after.running, len(after.contenders)) == ("done", [], 5)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"architecture": "a=1"}', '{"architecture":1,"epochs":2,"curve":[1]}',
                '{"architecture":"a=1","epochs":2,"curve":["x"]}', '{"curve":3}'],
    ids=range(6),
)  # fmt: skip
def test_damaged_curves_are_not_shown(tmp_path: Path, content: str) -> None:
    (tmp_path / "one.ongoing").write_text(content)
    assert Ongoing.read(tmp_path) == []


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([], ""),
        ([math.nan], ""),
        ([1.0], "▁"),
        ([0.0, 0.5, math.inf, 1.0], "▁▅█"),
        ([2.0] * 3, "▁▁▁"),
        (list(range(1000)), None),
    ],
    ids=range(6),
)
def test_curves_in_a_line(values: list[float], bars: str | None) -> None:
    drawn = _bars(values)
    assert (
        drawn == bars if bars is not None else (len(drawn), drawn[0], drawn[-1]) == (24, "▁", "█")
    )


def test_a_run_is_watched_before_its_first_training_is_back(tmp_path: Path, capsys: Any) -> None:
    shown: list[str] = []

    def look(architecture: Any) -> float:
        if not shown:
            watch(tmp_path)
            watch(tmp_path, options=Options(html=tmp_path / "page.html", once=True))
            shown.append(capsys.readouterr().out)
        return 1.0

    search(4, look, output=tmp_path)
    for part in ("running", "0 of 4", "none yet", "under way", "proposed next"):
        assert part in shown[0]
    assert "last trainings" not in (tmp_path / "page.html").read_text(encoding="utf-8")


def killed(folder: Path) -> None:
    """Make it look as a run does whose process is gone."""
    path = folder / "status.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"done": False, "pid": 2**22 + 1}))


def test_a_run_is_watched(tmp_path: Path, capsys: Any) -> None:
    search(30, output=tmp_path)
    watch(tmp_path)
    shown = capsys.readouterr().out
    for part in ("30 of 30", "done", "contenders", "seven is not trained", "last trainings"):
        assert part in shown
    killed(tmp_path)
    live = Live.read(tmp_path)
    assert live.facts(time.time())["state"].startswith("not running")
    assert 'http-equiv="refresh"' in page(live, time.time(), 3)
    search(31, output=tmp_path)  # started again
    watch(tmp_path, options=Options(html=tmp_path / "page.html"))
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "31 of 31" in text
    assert 'http-equiv="refresh"' not in text
    with pytest.raises(InputError, match=r"has no journal.jsonl"):
        watch(tmp_path / "other")


def test_pages_of_many_trainings_are_small_and_never_torn(tmp_path: Path) -> None:
    trial = search(1, output=tmp_path).trials[0]
    live = Live.read(tmp_path)
    many: Sequence[Trial] = [
        Trial(n, n, trial.architecture, weaknas.Evaluation(float(n % 97))) for n in range(10_000)
    ]
    live = Live(tmp_path, live.config, list(many), [float(n) for n in range(10_000)], live.status)
    path = tmp_path / "page.html"
    for _ in range(2):
        write_page(live, path, 1)
        with path.open(encoding="utf-8") as reader:  # still that one when the next is written
            write_page(live, path, 1)
            text = reader.read()
        assert text.endswith("</body></html>\n")
        assert len(text) < 500_000
    assert text.count("<circle") >= 1000


@pytest.mark.slow  # a thousand times the disk is waited for
def test_no_reader_of_a_page_sees_a_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand rewrites while another thread reads as fast as it can."""
    search(30, output=tmp_path)
    live, path = Live.read(tmp_path), tmp_path / "page.html"
    text = page(live, time.time(), 1)
    longer = text.replace("</body>", "<p>more</p>" * 1000 + "</body>")
    pages = cycle([text, longer])
    monkeypatch.setattr("weaknas.reports.live.page", lambda *_: next(pages))
    write_page(live, path, 1)
    seen: list[str] = []
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            seen.append(path.read_text(encoding="utf-8"))
            time.sleep(0)  # the writer goes on

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(1000):
        write_page(live, path, 1)
    is_over.set()
    reader.join()
    assert set(seen) == {text, longer}


def test_a_line_of_the_log_is_there_before_the_next_training_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    log = tmp_path / "log"

    def look(architecture: Any) -> float:
        counts.append(len(log.read_text().splitlines()))
        return slow(architecture)

    with log.open("w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        search(10, look, progress=True, retries=0)
    assert counts == list(range(1, 11))  # after the line of the start, one for each before


def test_an_interruption_says_what_there_is(tmp_path: Path, capsys: Any) -> None:
    result = search(output=tmp_path)
    _tell_interrupted(result, tmp_path)
    told = capsys.readouterr().err
    assert f"best so far: {result.best.architecture.text}" in told
    assert f"10 trainings are kept in {tmp_path}; the same command continues" in told
    _tell_interrupted(result, None)
    assert "nothing is kept without --output" in capsys.readouterr().err


def test_times_of_a_rescued_journal_are_kept(tmp_path: Path) -> None:
    result = search(4, output=tmp_path)
    path = tmp_path / "journal.jsonl"
    config = Records.read(path, path.read_bytes()).config
    assert config is not None
    with Journal(path, config) as journal:
        times = list(journal.times)
        path.unlink()
        with pytest.raises(OSError, match="was deleted"):
            journal.append(replace(result.trials[0], number=4))
    assert Records.read(path, path.read_bytes()).times[:4] == times


def test_a_result_is_a_screen() -> None:
    text = repr(search(200))
    assert len(text.splitlines()) == 7
    assert text.startswith("Result of 200 trainings of 200 architectures, ")
    assert "of them failed" in text


def test_durations() -> None:
    assert [duration(t) for t in (0.2, 59.6, 3600, 90_061)] == ["0 s", "1 min", "1 h", "1 d 1 h"]
