"""Extrapolation of learning curves, on curves with known ends and on real trainings."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from weaknas.errors import InputError
from weaknas.training.learning_curves import CurveExtrapolation, EarlyStop
from weaknas.training.metrics import get_metric

Floats = npt.NDArray[np.float64]
EPOCHS = 12


def begin(curves: Floats, seen: int) -> Floats:
    return np.where(np.arange(curves.shape[1]) < seen, curves, np.nan)


def made(n: int, seed: int, noise: float = 0.005) -> Floats:
    """Power laws with ends and speeds drawn at random."""
    rng = np.random.default_rng(seed)
    last, gain = rng.uniform(0.6, 0.95, (n, 1)), rng.uniform(0.2, 0.5, (n, 1))
    t = np.arange(1, EPOCHS + 1)
    shape = t ** -rng.uniform(0.5, 2.0, (n, 1))
    shape = (shape - shape[:, -1:]) / (1 - shape[:, -1:])
    return np.asarray(last - gain * shape + rng.normal(0, noise, (n, EPOCHS)))


@pytest.fixture(name="digits", scope="module")
def _digits() -> Floats:
    """Validation accuracies of 44 real trainings: linear and small nets, many learning rates."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import SGDClassifier

    images, labels = load_digits(return_X_y=True)
    images = images / 16
    rng = np.random.default_rng(0)
    curves = []
    for seed in range(44):
        rows = rng.permutation(len(images))
        train, held = rows[:200], rows[200:800]
        model = SGDClassifier(
            loss="log_loss", learning_rate="constant", eta0=10 ** rng.uniform(-4, -1),
            alpha=10 ** rng.uniform(-5, -1), random_state=seed,
        )  # fmt: skip
        curve = []
        for _ in range(EPOCHS):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.partial_fit(images[train], labels[train], classes=np.arange(10))
            curve.append(model.score(images[held], labels[held]))
        curves.append(curve)
    return np.array(curves)


# -- against independent computation ----------------------------------------------------


@pytest.mark.parametrize("fitted", [False, True])
def test_every_component_is_the_bayesian_regression(fitted: bool) -> None:
    """Weights of evidence and the mean of the end, by joint normal distributions instead."""
    model = CurveExtrapolation(EPOCHS)
    if fitted:
        model.fit(made(9, seed=1))
    model._fading[:] = 1.0
    curve = begin(made(1, seed=2), 5)
    log_weights, means, variances = (array[0] for array in model._posterior(curve))
    noises = np.tile([0.002, 0.005, 0.01, 0.02, 0.05], len(model._shapes))
    shapes = np.repeat(model._shapes, 5, axis=0)
    evidence = []
    for k, (shape, noise) in enumerate(zip(shapes, noises, strict=True)):
        design = np.column_stack([np.ones(5), -shape[:5]])
        prior = np.diag(model._variances)
        errors = np.diag((noise * model._profile[:5]) ** 2)
        covariance = design @ prior @ design.T + errors
        residual = curve[0, :5] - design @ model._means
        solved = np.linalg.solve(covariance, residual)
        cross = prior[0] @ design.T
        assert means[k] == pytest.approx(model._means[0] + cross @ solved, abs=1e-6)
        variance = prior[0, 0] - cross @ np.linalg.solve(covariance, cross)
        variance += (noise * model._profile[-1]) ** 2
        assert variances[k] == pytest.approx(variance, rel=1e-4)
        evidence.append(-0.5 * (np.linalg.slogdet(covariance)[1] + residual @ solved))
    log_posterior = np.array(evidence) + model._log_prior
    log_posterior -= np.logaddexp.reduce(log_posterior)
    np.testing.assert_allclose(np.exp(log_weights), np.exp(log_posterior), atol=1e-6)


def test_probabilities_agree_with_mean_and_deviation() -> None:
    model = CurveExtrapolation(EPOCHS).fit(made(30, seed=1))
    curves = begin(made(6, seed=2), 4)
    mean, std = model.predict(curves)
    grid = np.linspace(-0.5, 1.8, 921)
    above = np.array([model.probability_above(curves, value) for value in grid])
    assert (np.diff(above, axis=0) <= 1e-12).all()
    density = -np.diff(above, axis=0)
    centres = (grid[1:] + grid[:-1]) / 2
    np.testing.assert_allclose(centres @ density, mean, atol=1e-4)
    np.testing.assert_allclose((centres**2 @ density) - mean**2, std**2, rtol=0.03, atol=1e-5)


def test_a_batch_is_the_same_as_one_by_one() -> None:
    model = CurveExtrapolation(EPOCHS).fit(made(12, seed=1))
    curves = np.vstack([begin(made(4, seed=2), seen) for seen in (0, 1, 6, EPOCHS)])
    mean, std = model.predict(curves)
    for row, m, s in zip(curves, mean, std, strict=True):
        alone = model.predict(row)
        assert (alone[0][0], alone[1][0]) == pytest.approx((m, s), rel=1e-9)
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301  # of our own making
    np.testing.assert_array_equal(copy.predict(curves)[0], mean)


# -- as a predictor -------------------------------------------------------------------------


@pytest.mark.parametrize("fitted", [False, True])
def test_more_epochs_bring_it_nearer(fitted: bool) -> None:
    model = CurveExtrapolation(EPOCHS)
    if fitted:
        model.fit(made(20, seed=1))
    curves = made(40, seed=2)
    errors, deviations = [], []
    for seen in (1, 3, 6, 9, 11):
        mean, std = model.predict(begin(curves, seen))
        errors.append(float(np.sqrt(((mean - curves[:, -1]) ** 2).mean())))
        deviations.append(float(std.mean()))
    assert errors == sorted(errors, reverse=True)
    pairs = pairwise(deviations)
    assert all(later < 1.25 * earlier for earlier, later in pairs)
    assert deviations[-1] < deviations[0] / 5
    assert errors[-1] < 0.015


def test_nothing_seen_is_the_prior() -> None:
    complete = made(40, seed=1)
    mean, std = CurveExtrapolation(EPOCHS).fit(complete).predict(np.full((1, EPOCHS), np.nan))
    assert mean[0] == pytest.approx(complete[:, -1].mean(), abs=0.01)
    assert std[0] == pytest.approx(complete[:, -1].std(), rel=0.25)


def test_a_late_rise_is_learned_from_complete_curves() -> None:
    """As annealing makes it: no power law ends that way."""
    rng = np.random.default_rng(0)
    t = np.arange(EPOCHS)
    shape = np.where(t < 8, 1 - 0.02 * t, 0.84 * (EPOCHS - 1 - t) / 4)
    last = rng.uniform(0.7, 0.95, (40, 1))
    curves = last - 0.4 * shape / shape[0] + rng.normal(0, 0.004, (40, EPOCHS))
    plain = CurveExtrapolation(EPOCHS).predict(begin(curves[20:], 8))[0]
    learned = CurveExtrapolation(EPOCHS).fit(curves[:20]).predict(begin(curves[20:], 8))[0]
    error = np.abs(learned - curves[20:, -1]).mean()
    assert error < 0.05
    assert error < np.abs(plain - curves[20:, -1]).mean() / 3


def test_calibrated_on_real_trainings(digits: Floats) -> None:
    """Held-out ends lie where they are said to lie, from any beginning."""
    scores: dict[int, list[Floats]] = {}
    better = []
    for repeat in range(4):
        order = np.random.default_rng(repeat).permutation(len(digits))
        known, held = digits[order[:24]], digits[order[24:]]
        model = CurveExtrapolation(EPOCHS).fit(known)
        for seen in (1, 2, 3, 5, 8, 11):
            mean, std = model.predict(begin(held, seen))
            scores.setdefault(seen, []).append((held[:, -1] - mean) / std)
            naive = np.abs(held[:, -1] - held[:, seen - 1]).mean()
            better.append(np.abs(held[:, -1] - mean).mean() / naive)
    for values in scores.values():
        z = np.concatenate(values)
        assert 0.6 < np.sqrt((z**2).mean()) < 1.6
        assert (np.abs(z) < 1).mean() > 0.5
        assert (np.abs(z) < 1.96).mean() > 0.85
    every = np.concatenate([z for values in scores.values() for z in values])
    assert 0.9 < (np.abs(every) < 1.96).mean() < 1.0
    assert np.mean(better) < 0.8  # than to say that the last value stays


def test_probabilities_are_frequencies(digits: Floats) -> None:
    said, happened = [], []
    for repeat in range(4):
        order = np.random.default_rng(repeat).permutation(len(digits))
        known, held = digits[order[:24]], digits[order[24:]]
        model, target = CurveExtrapolation(EPOCHS).fit(known), float(np.median(known[:, -1]))
        for seen in (1, 2, 4):
            said.append(model.probability_above(begin(held, seen), target))
            happened.append(held[:, -1] > target)
    p, truth = np.concatenate(said), np.concatenate(happened)
    for low, high in ((0.0, 0.2), (0.2, 0.8), (0.8, 1.0)):
        inside = (p >= low) & (p <= high)
        assert low - 0.15 < truth[inside].mean() < high + 0.15


# -- early stops -----------------------------------------------------------------------------


def test_early_stops_save_epochs_and_keep_the_good(digits: Floats) -> None:
    known, rest = digits[:20], digits[20:]
    stop = EarlyStop(known, risk=0.05)
    assert stop.target == known[:, -1].max()
    lengths, missed = [], 0
    for curve in rest:
        length = next((t for t in range(1, EPOCHS) if stop(curve[:t].tolist())), EPOCHS)
        lengths.append(length)
        missed += length < EPOCHS and curve[-1] > stop.target
    assert np.mean(lengths) < 0.75 * EPOCHS
    assert missed <= 2
    assert min(lengths) >= stop.earliest


def test_when_it_is_asked_and_what_it_says() -> None:
    curves = made(10, seed=1)
    hopeless = [0.01] * EPOCHS
    stop = EarlyStop(curves, target=0.9, risk=0.2, earliest=3)
    assert [stop(hopeless[:t]) for t in range(1, EPOCHS + 1)] == (
        [False] * 2 + [True] * (EPOCHS - 3) + [False]
    )
    assert not stop([0.8, 0.93, 0.95])
    described: dict[str, Any] = json.loads(json.dumps(stop.describe()))
    assert described["target"] == 0.9
    assert described["curves"] == 10
    assert pickle.loads(pickle.dumps(stop))(hopeless[:5])  # noqa: S301  # of our own making


# -- bad input -------------------------------------------------------------------------------


def test_bad_input() -> None:
    with pytest.raises(InputError, match="at least 2 epochs, not 1"):
        CurveExtrapolation(1)
    model = CurveExtrapolation(EPOCHS)
    with pytest.raises(InputError, match=r"shape \(n, 12\), not \(3, 5\)"):
        model.predict(np.zeros((3, 5)))
    with pytest.raises(InputError, match="complete curves of 12 epochs"):
        model.fit(begin(made(4, seed=0), 5))
    with pytest.raises(InputError, match="at least one"):
        model.fit(np.empty((0, EPOCHS)))
    for risk in (0.0, 1.0):
        with pytest.raises(InputError, match="risk must be a number above 0 and below 1"):
            EarlyStop(made(5, seed=0), risk=risk)
    with pytest.raises(InputError, match="earliest must be at least 1"):
        EarlyStop(made(5, seed=0), earliest=0)


@pytest.mark.parametrize("n", [1, 2, 4, 5, 6])
def test_few_curves_and_flat_ones_will_do(n: int) -> None:
    for curves in (made(n, seed=3), np.full((n, EPOCHS), 0.5), made(n, seed=3)[:, ::-1]):
        mean, std = CurveExtrapolation(EPOCHS).fit(curves).predict(begin(curves, 3))
        assert np.isfinite(mean).all()
        assert (std > 0).all()
        assert np.abs(mean - curves[:, -1]).max() < 0.3


@pytest.mark.slow
def test_the_script_measures_early_stops(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, str(root / "scripts" / "early_stopping.py"), "--quick"]
    command += ["--jobs", "1", "--work", "work", "--results", "results"]
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "results" / "early-stopping.json").read_text())
    assert (result["cells"], result["epochs"]) == (6, 2)
    assert [row["seen"] for row in result["calibration"]] == [1]
    assert set(result["risks"]) == {"0.01", "0.05", "0.2"}


def test_curves_of_what_is_to_be_small_are_read_as_scores():
    perplexities = 100 * np.exp(-3 * made(8, seed=0))
    metric = get_metric("perplexity", "language")
    stop = EarlyStop(perplexities, metric=metric)
    assert stop.target == pytest.approx(-np.log(perplexities[:, -1].min()))
    best, worst = (
        perplexities[perplexities[:, -1].argmin()],
        3 * perplexities[perplexities[:, -1].argmax()],
    )
    assert not stop((-np.log(best[:4])).tolist())
    assert stop((-np.log(worst[:4])).tolist())
