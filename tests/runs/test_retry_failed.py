"""Failed trials that are tried again, and what a run that was continued so promises."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import weaknas
from weaknas.evaluators import Evaluation
from weaknas.runs.journal import read_journal
from weaknas.runs.runner import Result, run
from weaknas.runs.trials import Trial
from weaknas.spaces import Architecture, ChoiceSpace
from weaknas.strategies import Hyperband, Strategy

SPACE = ChoiceSpace({f"x{i}": ["a", "b", "c"] for i in range(5)})


class Judge:
    """Fails for some architectures until it is mended, and dies at a call, as a machine does."""

    def __init__(self, mended: bool = False, dies_at: int = -1) -> None:
        self.mended, self.dies_at = mended, dies_at
        self.paid: list[str] = []

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        if len(self.paid) == self.dies_at:
            raise KeyboardInterrupt
        self.paid.append(architecture.id)
        score = float(sum(architecture.genotype)) + seed % 97 / 97 + (fidelity or 0.0)
        if not self.mended and sum(architecture.genotype) % 3 == 2:
            return Evaluation(math.nan, cost=2.0, status="failed", message="a fault of ours")
        return Evaluation(score, cost=5.0)

    def describe(self) -> dict[str, Any]:
        return {"judge": 1}


def weak() -> Strategy:
    return weaknas.WeakNAS(SPACE, seed=1, initial=8, batch_size=6)


def hyperband() -> Strategy:
    return Hyperband(SPACE, resources=(1.0, 3.0, 9.0), seed=1)


def rows(result: Result) -> list[dict[str, Any]]:
    return [{**trial.to_dict(), "seconds": 0} for trial in result.trials]


def failed(result: Result) -> list[Trial]:
    return [trial for trial in result.trials if not trial.is_ok]


@pytest.mark.parametrize("make", [weak, hyperband])
@pytest.mark.parametrize("budget", [17, 20, 26])  # within, at the end of and after a round
def test_failed_trials_are_tried_again(make: Any, budget: int, tmp_path: Path) -> None:
    first = run(make(), Judge(), budget, output=tmp_path)
    again = [trial.architecture.id for trial in failed(first)]
    assert len(again) >= 2
    judge, search = Judge(mended=True), make()
    result = run(search, judge, budget, output=tmp_path, retry_failed=True)
    assert judge.paid == again
    assert result.evaluated == len(again)
    assert failed(result) == []
    assert len(result.trials) == budget
    for old, new in zip(rows(first), rows(result), strict=True):
        assert all(old[name] == new[name] for name in ("number", "round", "architecture"))
        assert new == old or (old["score"] is None and new["cost"] == 2.0 + 5.0)
    assert len(search.history.successful[0]) == budget
    # It is in the journal, and there it is found again.
    kept = read_journal(tmp_path / "journal.jsonl")[1]
    assert [trial.to_dict() for trial in kept] == [trial.to_dict() for trial in result.trials]
    judge = Judge(mended=True)
    for retry in (False, True):
        finished = run(make(), judge, budget, output=tmp_path, retry_failed=retry)
        assert rows(finished) == rows(result)
    assert judge.paid == []


@pytest.mark.parametrize("make", [weak, hyperband])
def test_a_run_that_went_on_is_continued_exactly(make: Any, tmp_path: Path) -> None:
    """Killed at any moment, among the retries or after them, it ends with the same trials."""

    def story(folder: Path, kills: tuple[int, ...] = ()) -> Result:
        run(make(), Judge(), 17, output=folder)
        for dies_at in kills:
            judge = Judge(mended=True, dies_at=dies_at)
            with pytest.raises(KeyboardInterrupt):
                run(make(), judge, 30, output=folder, retry_failed=True)
        run(make(), Judge(mended=True), 30, output=folder, retry_failed=True)
        run(make(), Judge(), 36, output=folder)
        run(make(), Judge(mended=True), 40, output=folder, retry_failed=True)
        judge = Judge(mended=True)
        result = run(make(), judge, 40, output=folder)
        assert judge.paid == []
        return result

    whole = story(tmp_path / "whole")
    assert failed(whole) == []
    for number, kills in enumerate([(0,), (1, 1), (3, 4), (8,)]):
        assert rows(story(tmp_path / str(number), kills)) == rows(whole)


def test_what_fails_again_stays_failed_and_the_journal_has_both(tmp_path: Path) -> None:
    first = run(weak(), Judge(), 20, output=tmp_path)
    lines = (tmp_path / "journal.jsonl").read_bytes()
    search = weak()
    result = run(search, Judge(), 20, output=tmp_path, retry_failed=True)
    assert [t.number for t in failed(result)] == [t.number for t in failed(first)]
    assert {t.evaluation.cost for t in failed(result)} == {4.0}
    content = (tmp_path / "journal.jsonl").read_bytes()
    assert content.startswith(lines)
    assert content.count(b"\n") == 1 + 20 + len(failed(first))
    assert len(search.history) == 20


def test_side_by_side_and_asynchronously(tmp_path: Path) -> None:
    for name, asynchronous in (("rounds", False), ("asynchronous", True)):
        with ThreadPoolExecutor(3) as executor:
            options: dict[str, Any] = {"executor": executor, "workers": 3}
            options |= {"asynchronous": asynchronous, "output": tmp_path / name}
            run(weak(), Judge(), 17, **options)
            mended = run(weak(), Judge(mended=True), 30, retry_failed=True, **options)
            assert failed(mended) == []
            judge = Judge(mended=True)
            assert rows(run(weak(), judge, 30, **options)) == rows(mended)
            assert judge.paid == []
            more = run(weak(), Judge(mended=True), 35, **options)
            assert rows(more)[:30] == rows(mended)


def test_a_stop_ends_it_early(tmp_path: Path) -> None:
    first = run(weak(), Judge(), 20, output=tmp_path)
    judge = Judge(mended=True)
    result = run(
        weak(), judge, 30, output=tmp_path, retry_failed=True, stop=lambda: len(judge.paid) >= 2
    )
    assert len(judge.paid) == result.evaluated == 2
    assert len(failed(result)) == len(failed(first)) - 2
