"""The Gaussian process against scikit-learn's, finite differences and a fresh fit."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from weaknas.predictors import _gp_fit
from weaknas.predictors._gp_active import ActiveLabels
from weaknas.predictors._gp_kernel import Hyperparameters, Kernel, Scaling, row_slices
from weaknas.predictors._gp_pool import GaussianProcessPool
from weaknas.predictors._gp_posterior import Posterior
from weaknas.predictors.gaussian_process import GaussianProcess
from weaknas.predictors.labels import Repeats
from weaknas.predictors.open_model import OpenPool
from weaknas.predictors.pool import for_pool

RNG = np.random.default_rng(0)
# binary, real, constant and repeated columns, as encodings of architectures have
FEATURES = np.hstack(
    [
        RNG.integers(0, 2, size=(300, 6)),
        RNG.normal(size=(300, 4)) * [1, 5, 0.1, 1],
        np.full((300, 1), 3.0),
    ]
).astype(np.float32)
FEATURES[:, 5] = FEATURES[:, 0]
GROUPS = [slice(0, 6), slice(6, 11)]
LABELS = 70 + 3 * np.sin(FEATURES[:, 6]) + FEATURES[:, 0] * FEATURES[:, 1] + RNG.normal(size=300)


def scaled(features, reference, groups):
    """Every block centred and divided by the root mean square distance of its rows."""
    blocks = []
    for group in groups:
        block = reference[:, group].astype(np.float64)
        distances = ((block[:, None] - block[None]) ** 2).sum(axis=2)
        blocks.append((features[:, group] - block.mean(axis=0)) / np.sqrt(distances.mean()))
    return np.hstack(blocks)


def reference_process(hyper, groups, width, counts=1.0):
    """scikit-learn's process with the same kernel; a length scale a column does for blocks."""
    lengths = np.ones(width)
    for group, length in zip(groups, hyper.lengths, strict=True):
        lengths[group] = length
    kernel = ConstantKernel(hyper.variance) * Matern(lengths, nu=2.5)
    return GaussianProcessRegressor(kernel, alpha=hyper.noise / counts + 1e-6, optimizer=None)


def predict_by_reference(hyper, groups, train, labels, test, counts=1.0):
    center, scale = labels.mean(), labels.std()
    targets = (labels - center) / scale
    process = reference_process(hyper, groups, train.shape[1], counts)
    covariance = process.kernel(train) + process.alpha * np.eye(len(train))
    weights = np.linalg.solve(covariance, np.ones(len(train)))
    constant = weights @ targets / weights.sum()  # generalised least squares
    process.fit(train, targets - constant)
    mean, std = process.predict(test, return_std=True)
    return (mean + constant) * scale + center, std * scale


@pytest.mark.parametrize("groups", [None, GROUPS, [np.array([6, 7]), np.array([0, 1, 2])]])
def test_posterior_is_that_of_scikit_learn(groups):
    train, test = FEATURES[:80], FEATURES[80:]
    model = GaussianProcess(groups=groups).fit(train, LABELS[:80])
    blocks = [slice(0, 11)] if groups is None else groups
    order = np.concatenate([np.arange(11)[block] for block in blocks])
    places = np.split(
        np.arange(len(order)), np.cumsum([len(np.arange(11)[b]) for b in blocks])[:-1]
    )
    mean, std = predict_by_reference(
        model.hyperparameters_,
        places,
        scaled(train[:, order], train[:, order], places),
        LABELS[:80],
        scaled(test[:, order], train[:, order], places),
    )
    found_mean, found_std = model.predict(test, return_std=True)
    np.testing.assert_allclose(found_mean, mean, rtol=0, atol=2e-3)
    np.testing.assert_allclose(found_std, std, rtol=2e-3)
    np.testing.assert_array_equal(model.predict(test), found_mean)


def test_log_posterior_is_scikit_learns_likelihood_times_the_priors():
    hyper = Hyperparameters(variance=1.7, lengths=np.array([0.8, 2.5]), noise=0.03)
    train = scaled(FEATURES[:50], FEATURES, GROUPS)
    targets = np.random.default_rng(1).normal(size=50)
    distances = np.stack(
        [((train[:, None, g] - train[None, :, g]) ** 2).sum(axis=2) for g in GROUPS]
    )
    counts = np.random.default_rng(2).integers(1, 4, size=50)
    center, width = np.array([0.1, 0.2, 0.3, -3.0]), np.array([1.5, 0.5, 0.6, 2.0])
    value, _ = _gp_fit.negative_log_posterior(
        hyper.to_vector(),
        distances=distances,
        targets=targets,
        repeats=Repeats(counts, 1 / counts, squares=1.3, freedom=7),
        center=center,
        width=width,
    )
    process = reference_process(hyper, GROUPS, 11, counts)
    covariance = process.kernel(train) + process.alpha * np.eye(50)
    weights = np.linalg.solve(covariance, np.ones(50))
    process.fit(train, targets - weights @ targets / weights.sum())
    likelihood = process.log_marginal_likelihood_value_ + 25 * np.log(2 * np.pi)
    logarithms = np.log([1.7, 0.8, 2.5, 0.03])
    priors = 0.5 * (((logarithms - center) / width) ** 2).sum()
    # of the labels beyond the first ones: normal, around the means of their architectures
    others = 0.5 * (7 * np.log(0.03) + 1.3 / 0.03)
    assert value == pytest.approx(-likelihood + priors + others, rel=1e-8)


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 3),
    st.sampled_from([(), ("trend",), ("particular",), ("trend", "particular")]),
)  # fmt: skip
@settings(max_examples=20, deadline=None)
def test_gradient_by_finite_differences(seed, blocks, further):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(blocks, 12, 3))
    distances = ((points[:, :, None] - points[:, None]) ** 2).sum(axis=3)
    targets, trend = rng.normal(size=12), points[0] @ points[0].T
    size = blocks + 2 + len(further)
    center, width = rng.normal(size=size), rng.uniform(0.5, 2, size=size)
    vector = rng.normal(size=size)
    density = partial(
        _gp_fit.negative_log_posterior,
        distances=distances,
        targets=targets,
        repeats=Repeats(np.ones(12), rng.uniform(0, 1, size=12), 2.5, 6),
        further=further,
        center=center,
        width=width,
        trend=trend,
    )
    _, gradient = density(vector)
    numeric = approx_fprime(vector, lambda v: density(v)[0], 1e-6)
    np.testing.assert_allclose(gradient, numeric, rtol=2e-4, atol=2e-4)


def test_fitting_raises_the_posterior():
    scaling = Scaling(FEATURES, groups=GROUPS)
    data = scaling(FEATURES[:60])
    start = Hyperparameters.typical(2)
    fit = partial(_gp_fit.fit_hyperparameters, data, LABELS[:60], scaling=scaling, max_iter=30)
    fitted = fit(start=start).mode
    # the blocks matter differently: the noise of the labels and the sine are found
    assert fitted.noise > start.noise
    again = fit(start=fitted).mode
    np.testing.assert_allclose(again.to_vector(), fitted.to_vector(), atol=0.05)


def test_the_width_of_what_is_known_by_the_steps_of_the_optimiser():
    rng = np.random.default_rng(2)
    root = rng.normal(size=(4, 4))
    hessian = np.eye(4) + root @ root.T  # the prior's, and that of the labels
    _, steps = np.linalg.eigh(hessian)
    found = _gp_fit._root(steps.T, steps.T @ hessian)
    np.testing.assert_allclose(found @ found.T, np.linalg.inv(hessian), atol=1e-10)
    # where no step went it is the prior's, and nowhere wider
    some = _gp_fit._root(steps.T[:1], steps.T[:1] @ hessian)
    across = np.eye(4) - np.outer(steps[:, 0], steps[:, 0])
    np.testing.assert_allclose(across @ some @ some.T @ across, across, atol=1e-10)
    wide = _gp_fit._root(np.eye(4)[:1], 0.1 * np.eye(4)[:1])
    np.testing.assert_allclose(wide @ wide.T, np.eye(4), atol=1e-10)


def test_draws_of_hyperparameters_stand_around_the_mode():
    scaling = Scaling(FEATURES, groups=GROUPS)
    start = Hyperparameters.typical(2)
    fit = partial(_gp_fit.fit_hyperparameters, scaling=scaling, start=start, max_iter=30)
    few, many = (fit(scaling(FEATURES[:n]), LABELS[:n]) for n in (10, 250))
    noises = []
    for learnt in (few, many):
        draws = learnt.draws(400, np.random.default_rng(0))
        vectors = np.stack([hyper.to_vector() for hyper in draws])
        low, high = learnt.bounds
        assert (vectors > low - 1e-9).all()
        assert (vectors < high + 1e-9).all()
        noises.append(vectors[:, -1])
    assert noises[1].mean() == pytest.approx(many.vector[-1], abs=1e-6)
    width = _gp_fit._WIDER * np.linalg.norm(many.root[-1])
    assert noises[1].std() == pytest.approx(width, rel=0.1)
    assert noises[1].std() < 0.5 * noises[0].std()
    assert len(few.draws(5, np.random.default_rng(0))) == 5
    assert few.draws(0, np.random.default_rng(0)) == []


def test_a_number_of_steps_beyond_need_takes_no_memory():
    fits = [
        GaussianProcess(groups=GROUPS, max_iter=n).fit(FEATURES[:40], LABELS[:40])
        for n in (200, 10**5)
    ]
    vectors = [model.hyperparameters_.to_vector() for model in fits]
    np.testing.assert_array_equal(*vectors)


def test_it_learns():
    model = GaussianProcess(groups=GROUPS).fit(FEATURES[:200], LABELS[:200])
    mean, std = model.predict(FEATURES[200:], return_std=True)
    residuals = mean - LABELS[200:]
    assert residuals.std() < 0.75 * LABELS[200:].std()
    assert (std > 0).all()


@pytest.mark.parametrize("labels", [[5.0, 5.0, 5.0], [1.0, 1.0, 2.0]])
def test_constant_features_and_labels(labels):
    model = GaussianProcess().fit(np.ones((3, 4)), labels)
    mean, std = model.predict(np.ones((2, 4)), return_std=True)
    np.testing.assert_allclose(mean, np.mean(labels), atol=1e-5)
    assert np.isfinite(std).all()


# -- labels that are means of several trainings ---------------------------------------------


def test_more_trainings_of_a_label_leave_it_less_noise():
    train, test, counts = FEATURES[:80], FEATURES[80:], np.arange(80) % 4 + 1.0
    model = GaussianProcess(groups=GROUPS).fit(train, LABELS[:80], sample_weight=counts)
    expected, deviation = predict_by_reference(
        model.hyperparameters_,
        GROUPS,
        scaled(train, train, GROUPS),
        LABELS[:80],
        scaled(test, train, GROUPS),
        counts,
    )
    mean, std = model.predict(test, return_std=True)
    np.testing.assert_allclose(mean, expected, rtol=0, atol=2e-3)
    np.testing.assert_allclose(std, deviation, rtol=2e-3)


def test_the_mean_of_three_trainings_tells_as_much_as_the_three():
    rng = np.random.default_rng(7)
    scaling = Scaling(FEATURES, groups=GROUPS)
    points = scaling(FEATURES[:20])
    hyper = Hyperparameters(variance=1.3, lengths=np.array([1.0, 2.0]), noise=0.1)
    three = rng.normal(size=(3, 20))
    apart, together = (Posterior(Kernel(hyper, scaling)) for _ in range(2))
    apart.append(np.tile(points, (3, 1)))
    together.append(points[:15], errors=np.full(15, 1 / 3))
    together.append(points[15:], errors=np.full(5, 1 / 3))
    apart.learn(three.ravel())
    together.learn(three.mean(axis=0))
    new = scaling(FEATURES[100:140])
    one, other = apart.whiten(new), together.whiten(new)
    np.testing.assert_allclose(together.mean(other), apart.mean(one), atol=2e-4)
    np.testing.assert_allclose(
        together.covariance(new, other)[0] / three.mean(axis=0).var(),
        apart.covariance(new, one)[0] / three.var(),
        atol=2e-4,
    )


def test_the_scores_behind_labels_by_the_joint_normal_of_all():
    """Against the conditional of one big normal: labels, their scores, and new points."""
    rng = np.random.default_rng(3)
    scaling = Scaling(FEATURES, groups=GROUPS, dtype=np.float64)
    points, new = scaling(FEATURES[:15]), scaling(FEATURES[15:19])
    hyper = Hyperparameters(variance=1.3, lengths=np.array([1.0, 2.0]), noise=0.2, particular=0.1)
    kernel = Kernel(hyper, scaling)
    errors, labels = np.where(np.arange(15) < 3, 0.0, rng.uniform(0.1, 1, size=15)), LABELS[:15]
    posterior = Posterior(kernel)
    posterior.append(points, errors=errors)
    posterior.learn(labels)
    joint = posterior.joint(errors, new, posterior.whiten(new))
    standard = (labels - labels.mean()) / labels.std()
    every = np.vstack([points, new])
    scores = kernel(every, every) + np.diag(np.append(np.full(15, 0.1), np.zeros(4)))
    covariance = scores[:15, :15] + np.diag(0.2 * errors + 1e-6)
    weights = np.linalg.solve(covariance, np.ones(15))
    mean = weights @ standard / weights.sum()
    gain = np.linalg.solve(covariance, scores[:15]).T
    expected = mean + gain @ (standard - mean)
    np.testing.assert_allclose(joint.mean, expected * labels.std() + labels.mean(), atol=1e-3)
    left = (scores - gain @ scores[:15]) * labels.var()
    np.testing.assert_allclose(joint.covariance, left, atol=1e-3)
    np.testing.assert_allclose(joint.mean[:3], labels[:3], atol=1e-4)  # known exactly
    assert joint.particular == pytest.approx(0.1 * labels.var())


def test_weights_of_one_and_of_zero():
    plain = GaussianProcess().fit(FEATURES[:40], LABELS[:40])
    ones = GaussianProcess().fit(FEATURES[:40], LABELS[:40], np.ones(40))
    np.testing.assert_array_equal(ones.predict(FEATURES), plain.predict(FEATURES))
    some = (np.arange(60) < 40).astype(float)
    dropped = GaussianProcess().fit(FEATURES[:60], LABELS[:60], some)
    np.testing.assert_array_equal(dropped.predict(FEATURES), plain.predict(FEATURES))
    with pytest.raises(ValueError, match="weights"):
        GaussianProcess().fit(FEATURES[:40], LABELS[:40], np.zeros(40))
    with pytest.raises(ValueError, match="egative"):
        GaussianProcess().fit(FEATURES[:40], LABELS[:40], -np.ones(40))


@pytest.mark.parametrize("is_open", [False, True])
def test_counts_may_change_from_round_to_round(is_open):
    process = GaussianProcess(groups=GROUPS, max_iter=5)
    model = OpenPool(process.for_any(FEATURES), FEATURES) if is_open else process.for_pool(FEATURES)
    rows, rng = np.arange(0, 60, 2), np.random.default_rng(8)
    for n in (20, 24, 24, 26, 30):
        counts = rng.integers(1, 4, size=n).astype(float)
        model.fit(rows[:n], LABELS[rows[:n]], Repeats.counted(counts))
        model.condition(rows[:1])  # a repeat whose label is not known yet
    hyper = model._model.hyperparameters if is_open else model.hyperparameters
    mean, std = model.predict()
    expected, _ = fresh(hyper, rows, rows[:0], LABELS[rows], counts)
    seen, counts, spread = np.append(rows, rows[0]), np.append(counts, 1.0), LABELS[rows].std()
    np.testing.assert_allclose(mean, expected, atol=5e-3 * spread)
    zeros = np.zeros(len(seen))
    zeros[0] = 1.0
    _, wide = fresh(hyper, seen, rows[:0], zeros, counts)
    np.testing.assert_allclose(std, wide / zeros.std() * spread, atol=5e-3 * spread)


# -- on a pool ------------------------------------------------------------------------------

POINTS = scaled(FEATURES, FEATURES, GROUPS)


def fresh(hyper, rows, conditioned, labels, counts=1.0):
    """Mean and deviation over the pool, from scikit-learn and from scratch."""
    mean, std = predict_by_reference(hyper, GROUPS, POINTS[rows], labels, POINTS, counts)
    if len(conditioned):
        everything = np.concatenate([rows, conditioned])
        ones = np.zeros(len(everything))
        ones[0] = 1  # any labels: the deviation does not depend on them
        _, wide = predict_by_reference(hyper, GROUPS, POINTS[everything], ones, POINTS)
        std = wide / ones.std() * labels.std()
    return mean, std


rounds = st.lists(
    st.tuples(st.integers(1, 6), st.lists(st.integers(0, 299), max_size=4, unique=True)),
    min_size=1,
    max_size=8,
)


@given(rounds, st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_any_sequence_of_rounds_equals_a_fresh_fit(sequence, seed):
    order = np.random.default_rng(seed).permutation(300)
    model = GaussianProcessPool(FEATURES, groups=GROUPS, max_iter=5)
    count = 2
    for added, conditioned in sequence:
        count += added
        rows = order[:count]
        extra = np.array([row for row in conditioned if row not in rows], dtype=np.int64)
        model.fit(rows, LABELS[rows])
        for row in extra:
            model.condition(np.array([row]))
        mean, std = model.predict()
        expected_mean, expected_std = fresh(model.hyperparameters, rows, extra, LABELS[rows])
        np.testing.assert_allclose(mean, expected_mean, atol=5e-3 * LABELS[rows].std())
        np.testing.assert_allclose(std, expected_std, atol=5e-3 * LABELS[rows].std())


@given(st.lists(st.lists(st.integers(0, 40), min_size=2, max_size=12, unique=True), min_size=2))
@settings(max_examples=20, deadline=None)
def test_rows_may_come_in_any_order_and_go_again(batches):
    model = GaussianProcessPool(FEATURES, groups=GROUPS, max_iter=3)
    for batch in batches[:6]:
        rows = np.array(batch)
        model.fit(rows, LABELS[rows])
    mean, std = model.predict()
    expected_mean, expected_std = fresh(model.hyperparameters, rows, rows[:0], LABELS[rows])
    spread = max(LABELS[rows].std(), 1e-3)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-2 * spread)
    np.testing.assert_allclose(std, expected_std, atol=1e-2 * spread)


def test_covariance_is_that_of_the_posterior():
    model = GaussianProcessPool(FEATURES, groups=GROUPS, max_iter=5)
    rows, some = np.arange(40), np.arange(100, 130)
    model.fit(rows, LABELS[rows])
    covariance, noise = model.covariance(some)
    hyper = model.hyperparameters
    process = reference_process(hyper, GROUPS, 11).fit(POINTS[rows], LABELS[rows])
    _, expected = process.predict(POINTS[some], return_cov=True)
    variance = LABELS[rows].var()
    np.testing.assert_allclose(covariance, expected * variance, atol=2e-3 * variance)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), model.predict()[1][some], rtol=1e-2)
    assert noise == pytest.approx(hyper.noise * variance)
    # conditioning on one of them is one step of elimination
    model.condition(some[:1])
    column = covariance[0]
    after = np.diag(covariance) - column**2 / (column[0] + noise)
    np.testing.assert_allclose(model.predict()[1][some] ** 2, after, atol=2e-3 * variance)


def test_a_mixture_of_processes_with_drawn_hyperparameters():
    model = GaussianProcessPool(FEATURES, groups=GROUPS, max_iter=5, draws=4, seed=3)
    plain = GaussianProcessPool(FEATURES, groups=GROUPS, max_iter=5)
    rows, some = np.arange(25), np.arange(100, 130)
    for fitted in (model, plain):
        fitted.fit(rows[:22], LABELS[:22])
        fitted.fit(rows, LABELS[rows])
    model.condition(some[:2])
    mean, std = model.predict()
    hypers = [member.posterior.kernel.hyper for member in model._members]
    assert hypers[0] == model.hyperparameters
    assert len({hyper.variance for hyper in hypers}) == 5
    one = [fresh(hyper, rows, some[:2], LABELS[rows]) for hyper in hypers]
    means, deviations = np.array(one).transpose(1, 0, 2)
    np.testing.assert_allclose(mean, means.mean(axis=0), atol=5e-3 * LABELS[rows].std())
    square = (deviations**2 + means**2).mean(axis=0) - means.mean(axis=0) ** 2
    np.testing.assert_allclose(std, np.sqrt(square), rtol=1e-2, atol=5e-3 * LABELS[rows].std())
    covariance, noise = model.covariance(some)
    np.testing.assert_allclose(np.diag(covariance), std[some] ** 2, rtol=2e-2)
    assert noise == pytest.approx(np.mean([h.noise for h in hypers]) * LABELS[rows].var())
    # what is known of labels, and so what is returned, is by the mode
    errors = np.ones(25)
    plain.condition(some[:2])
    for own, expected in zip(model.joint(errors, some), plain.joint(errors, some), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-4)


def test_draws_are_the_same_for_the_same_seed_and_fewer_on_a_large_pool(monkeypatch):
    def predictions(**options):
        process = GaussianProcess(groups=GROUPS, max_iter=5, **options)
        model = process.for_pool(FEATURES)
        model.fit(np.arange(30), LABELS[:30])
        return model.predict()[1]

    mode, drawn = predictions(), predictions(draws=4, random_state=0)
    np.testing.assert_array_equal(predictions(draws=4, random_state=0), drawn)
    assert not np.array_equal(predictions(draws=4, random_state=1), drawn)
    assert np.mean(drawn) > np.mean(mode)
    monkeypatch.setattr("weaknas.predictors._gp_pool._MOST", 3 * len(FEATURES))
    assert len(GaussianProcessPool(FEATURES, draws=8)._members) == 4
    monkeypatch.setattr("weaknas.predictors._gp_pool._MOST", len(FEATURES) - 1)
    np.testing.assert_array_equal(predictions(draws=8), mode)


def test_conditioning_keeps_the_mean_and_shrinks_deviations():
    model = for_pool(GaussianProcess(groups=GROUPS), FEATURES)
    assert isinstance(model, GaussianProcessPool)
    rows = np.arange(30)
    model.fit(rows, LABELS[rows])
    mean, std = model.predict()
    model.condition(np.array([100, 101]))
    later_mean, later_std = model.predict()
    np.testing.assert_array_equal(later_mean, mean)
    assert (later_std <= std + 1e-6).all()
    assert later_std[100] < 0.9 * std[100]
    model.fit(rows, LABELS[rows])  # what was only conditioned on is forgotten
    np.testing.assert_allclose(model.predict()[1], std, rtol=1e-3)


def test_hyperparameters_come_anew_when_the_data_have_grown_by_a_quarter():
    model = GaussianProcessPool(FEATURES, groups=GROUPS, max_iter=5)
    seen = []
    for count in range(20, 40):
        model.fit(np.arange(count), LABELS[:count])
        seen.append(tuple(model.hyperparameters.to_vector()))
    changes = [20 + i for i in range(1, 20) if seen[i] != seen[i - 1]]
    assert changes == [25, 32]


def test_features_of_a_pool_are_not_copied():
    model = GaussianProcessPool(FEATURES, groups=GROUPS, max_iter=5)
    assert np.shares_memory(model._points.features, FEATURES)
    before = FEATURES.copy()
    model.fit(np.arange(40), LABELS[:40])
    model.predict()
    np.testing.assert_array_equal(FEATURES, before)


@pytest.mark.parametrize("offset", [10.0, 1e3, 3e4])
def test_columns_far_from_zero(offset):
    # what is far from zero, such as a year or millions of parameters, keeps its digits
    features = FEATURES.copy()
    features[:, 6:8] += np.float32(offset)
    rows = np.arange(60)
    model = GaussianProcessPool(features, groups=GROUPS, max_iter=5)
    model.fit(rows, LABELS[rows])
    exact = scaled(features, features, GROUPS)
    mean, std = model.predict()
    expected_mean, expected_std = predict_by_reference(
        model.hyperparameters, GROUPS, exact[rows], LABELS[rows], exact
    )
    np.testing.assert_allclose(mean, expected_mean, atol=5e-3 * LABELS[rows].std())
    np.testing.assert_allclose(std, expected_std, atol=5e-3 * LABELS[rows].std())


def test_parts_cover_all_rows_once():
    for rows, width in [(0, 5), (1, 1), (5000, 200), (30_001, 3), (20_000, 10**6)]:
        covered = np.concatenate([np.arange(rows)[p] for p in row_slices(rows, width)] or [[]])
        np.testing.assert_array_equal(covered, np.arange(rows))


def test_pools_of_several_parts_equal_one(monkeypatch):
    rows = np.arange(0, 90, 2)

    def predictions():
        model = GaussianProcessPool(FEATURES, groups=GROUPS, max_iter=5)
        for count in (30, 32, 34, 45):
            model.fit(rows[:count], LABELS[rows[:count]])
        return model.predict()

    whole = predictions()
    monkeypatch.setattr(
        "weaknas.predictors._gp_pool.row_slices",
        lambda n, _: [slice(start, start + 7) for start in range(0, n, 7)],
    )
    np.testing.assert_allclose(predictions(), whole, rtol=1e-4)


def test_a_trend_is_a_linear_kernel_beside_the_other() -> None:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(30, 4)).astype(np.float32)
    targets = 2.0 * features[:, 3] + rng.normal(scale=0.1, size=30)
    model = GaussianProcess(groups=[slice(0, 3), slice(3, 4)], trend=[3]).fit(features, targets)
    far = np.zeros((1, 4), dtype=np.float32)
    far[0, 3] = 20.0  # far outside: only a trend can tell
    without = GaussianProcess(groups=[slice(0, 3), slice(3, 4)]).fit(features, targets)
    assert model.predict(far)[0] > 25.0 > without.predict(far)[0]
    falling = GaussianProcess(groups=[slice(0, 3), slice(3, 4)], trend=[3]).fit(features, -targets)
    np.testing.assert_allclose(falling.predict(features), -model.predict(features), atol=1e-3)


def test_a_pool_with_a_trend_equals_a_fresh_fit() -> None:
    rng = np.random.default_rng(4)
    features = rng.normal(size=(50, 4)).astype(np.float32)
    rows = np.arange(12)
    targets = features[rows, 3] + rng.normal(scale=0.1, size=12)
    groups = [slice(0, 3), slice(3, 4)]
    pool = GaussianProcessPool(features, groups=groups, trend=[3])
    pool.fit(rows[:11], targets[:11])
    pool.fit(rows, targets)  # one row more: extended, not fitted anew
    kernel = pool._members[0].posterior.kernel
    points = pool._points.scaling(features)
    noisy = kernel(points[rows], points[rows]).astype(float)
    noisy += (kernel.hyper.noise + 1e-6) * np.eye(12)
    solved = np.linalg.solve(noisy, kernel(points[rows], points).astype(float))
    variance = kernel.variance(points) - np.einsum(
        "ij,ij->j", kernel(points[rows], points).astype(float), solved
    )
    _, std = pool.predict()
    np.testing.assert_allclose(std / targets.std(), np.sqrt(variance), rtol=2e-2, atol=2e-3)


def test_an_additive_process_learns_how_much_adds_up() -> None:
    rng = np.random.default_rng(5)
    features = rng.integers(0, 2, size=(80, 20)).astype(np.float32)
    weights = rng.normal(size=20)
    sums, parity = features @ weights, (features[:, :10].sum(axis=1) % 2) * 3.0
    whole = GaussianProcess(additive=True, max_iter=40).fit(features[:40], sums[:40])
    none = GaussianProcess(additive=True, max_iter=40).fit(features[:40], parity[:40])
    plain = GaussianProcess(max_iter=40).fit(features[:40], sums[:40])
    assert whole.hyperparameters_.trend > 3 * none.hyperparameters_.trend
    assert plain.hyperparameters_.trend == 1.0
    error = [np.abs(m.predict(features[40:]) - sums[40:]).mean() for m in (whole, plain)]
    assert error[0] < 0.7 * error[1]
    pool = whole.for_pool(features)
    pool.fit(np.arange(40), sums[:40])
    np.testing.assert_allclose(pool.predict()[0][40:], whole.predict(features[40:]), atol=0.1)


def test_active_labels_are_the_best_and_some_of_the_rest():
    targets = np.random.default_rng(0).normal(size=1000)
    active = ActiveLabels(1.25, largest=40)
    assert active.update(targets[:30], None)
    assert active.indices.tolist() == list(range(30))
    assert not active.update(targets[:36], None)  # grown by less than a quarter
    assert active.indices.tolist() == list(range(36))
    assert active.update(targets[:200], None)
    assert len(active.indices) == 40
    best = set(np.argsort(-targets[:200])[:20].tolist())
    assert best < set(active.indices.tolist())
    assert not active.update(targets[:204], None)
    assert active.indices[-4:].tolist() == [200, 201, 202, 203]
    sizes = []
    for count in range(204, 1000, 2):
        active.update(targets[:count], None)
        sizes.append(len(active.indices))
        assert len(np.unique(active.indices)) == sizes[-1]
    assert max(sizes) <= 50
    unlimited = ActiveLabels(1.25, largest=None)
    assert unlimited.update(targets, None)
    assert len(unlimited.indices) == 1000


@pytest.mark.parametrize("make", ["for_pool", "for_any"])
def test_scores_behind_labels_that_are_left_out(make, monkeypatch):
    """They are what the features say, and stand where their labels do; the others as ever."""
    process, rows, errors = GaussianProcess(groups=GROUPS), np.arange(120), np.ones(120)
    errors[::3] = 0.25
    repeats = Repeats(1 / errors, errors, squares=30.0, freedom=120)

    def fitted(rows, targets, repeats, largest):
        bound = getattr(process, make)(FEATURES)
        bound._active = ActiveLabels(1.25, largest)
        model = bound if make == "for_pool" else OpenPool(bound, FEATURES)
        model.fit(rows, targets, repeats)
        return model, bound._active

    model, active = fitted(rows, LABELS[:120], repeats, 40)
    kept, others, candidates = active.indices, active.others(120), np.array([130, 140])
    assert len(kept) == 40
    assert set(np.argsort(-LABELS[:120])[:20].tolist()) < set(kept.tolist())
    joint = model.joint(errors, candidates)
    part, _ = fitted(kept, LABELS[kept], active.of(repeats), None)
    expected = part.joint(errors[kept], candidates)
    both = np.append(kept, [120, 121])
    np.testing.assert_allclose(joint.mean[both], expected.mean, rtol=1e-5)
    np.testing.assert_allclose(joint.covariance[np.ix_(both, both)], expected.covariance, atol=1e-4)
    mean, std = model.predict()
    np.testing.assert_allclose(joint.mean[others], mean[others], rtol=1e-5)
    variance = np.diag(joint.covariance)[others] - joint.particular
    np.testing.assert_allclose(variance, std[others] ** 2, atol=1e-2)
    assert joint.particular > 0


def fitted_noise(apart: float, pairs: int) -> Hyperparameters:
    """Fit to 40 labels, of which so many come from two trainings that far apart."""
    rng = np.random.default_rng(1)
    points = rng.normal(size=(40, 2)).astype(np.float32)
    errors = np.where(np.arange(40) < pairs, 0.5, 1.0)
    squares = pairs * apart**2 / 2  # of both labels from their mean
    return _gp_fit.fit_hyperparameters(
        points,
        np.sin(points[:, 0]) + 0.5 * rng.normal(size=40),
        scaling=Scaling(points),
        start=Hyperparameters.typical(1),
        max_iter=50,
        repeats=Repeats(1 / errors, errors, squares, pairs),
    ).mode


def test_few_repeats_that_are_near_each_other_tell_less_than_many():
    one, many = fitted_noise(0.05, pairs=1), fitted_noise(0.05, pairs=30)
    assert one.noise > 3 * many.noise
    assert many.noise < 0.02
    # what single labels have of both is there as before
    assert one.noise + one.particular == pytest.approx(many.noise + many.particular, rel=0.5)


def test_noise_is_taken_at_the_upper_end():
    raw = Hyperparameters(variance=1.0, lengths=np.ones(1), noise=0.1, particular=0.3)
    noises = [_gp_fit._cautious(raw, freedom).noise for freedom in (1, 2, 5, 10, 50, 500)]
    assert noises == sorted(noises, reverse=True)
    assert noises[0] < 0.4
    assert noises[-1] == pytest.approx(0.1, rel=0.05)
    for freedom in (1, 5, 50):
        hyper = _gp_fit._cautious(raw, freedom)
        assert hyper.noise + hyper.particular == pytest.approx(0.4)
    none_left = _gp_fit._cautious(Hyperparameters(variance=1.0, lengths=np.ones(1), noise=0.1), 0)
    assert (none_left.noise, none_left.particular) == (0.1, 0.0)


def test_features_with_heavy_tails_are_fitted_to():
    """Their distances are so different that single precision rounds by more than the noise."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        features = rng.standard_cauchy((200, 4)).astype(np.float32)
        rows = np.arange(30)
        model = GaussianProcess(random_state=0, draws=2).for_pool(features)
        model.fit(rows, features[rows] @ rng.standard_normal(4))
        assert all(np.isfinite(each).all() for each in model.predict())
