from __future__ import annotations

import itertools
import re
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaknas.errors import InputError
from weaknas.registry import get_encoder
from weaknas.search.presets import default_encoder
from weaknas.spaces import ChoiceSpace, ConstrainedSpace, Costs, SubsetSpace
from weaknas.spaces.limits.constraints import Constraint, parse_constraint, parse_constraints
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.testing import space_checks

MOBILE = MobileNetV3(1.2, 236)


def chain(n: int = 30) -> ChoiceSpace:
    return ChoiceSpace({f"layer{i}": [0, 1, 2] for i in range(n)}, name="chain")


def total(genotypes: Any) -> Any:
    return np.asarray(genotypes).sum(axis=1)


# -- text -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("macs<=600e6", -np.inf, 600e6),
        (" macs >= .5 ", 0.5, np.inf),
        ("550e6 <= macs<=600E6", 550e6, 600e6),
        ("-1<=macs<=+2.", -1, 2),
    ],
)
def test_text_is_read(text: str, low: float, high: float) -> None:
    assert parse_constraint(text) == Constraint("macs", low, high)


@given(
    st.tuples(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12)).map(sorted),
    st.sampled_from(["low", "high", "both"]),
)
def test_text_round_trip(bounds: list[float], kind: str) -> None:
    low, high = (float(f"{bound:.12g}") for bound in bounds)
    constraint = Constraint(
        "params", -np.inf if kind == "high" else low, np.inf if kind == "low" else high
    )
    assert parse_constraint(str(constraint)) == constraint


@pytest.mark.parametrize(
    "text", ["", "macs", "macs<600", "macs=3", "macs<=", "<=3", "3>=macs", "macs<=3<=4", "a<=nan"]
)
def test_malformed_text_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"malformed constraint .*macs<=600e6"):
        parse_constraint(text)


def test_empty_windows_and_no_constraints_are_refused() -> None:
    with pytest.raises(InputError, match=r"2<=macs<=1 is empty"):
        parse_constraint("2<=macs<=1")
    with pytest.raises(InputError, match="empty"):
        Constraint("macs", np.nan, 1)
    with pytest.raises(InputError, match="no constraint"):
        parse_constraints([])


def test_unknown_costs_are_refused_with_the_closest_match() -> None:
    with pytest.raises(
        InputError, match=r"cost of the space 'mobilenetv3' 'mac'.*did you mean 'macs'"
    ):
        ConstrainedSpace(MOBILE, "mac<=600e6")
    with pytest.raises(InputError, match=r"unknown cost of the space 'chain'"):
        ConstrainedSpace(chain(), "macs<=600e6")


# -- the space --------------------------------------------------------------------------

CASES = {
    "wide": (MOBILE, ["macs<=600e6"]),
    "window": (MOBILE, ["550e6<=macs<=600e6", "params<=9e6"]),
    "narrow": (MOBILE, ["320e6<=macs<=323.2e6"]),
    "listed": (NASBench201(), ["macs<=100e6"]),
    "one": (NASBench201(), ["params<=73306"]),
}


@pytest.mark.parametrize("name", CASES)
def test_contract(name: str) -> None:
    space = ConstrainedSpace(*CASES[name])
    for check in space_checks(space):
        check()


@pytest.mark.parametrize("name", CASES)
def test_everything_stays_inside(name: str) -> None:
    whole, constraints = CASES[name]
    space, rng = ConstrainedSpace(whole, constraints), np.random.default_rng(0)
    rows = space.sample(300, rng)
    mutants = space.mutate(rows, rng)
    children = space.crossover(rows, mutants[::-1], rng)
    batches = [rows, mutants, children, space.neighbors(rows[0])]
    for batch in batches:
        for constraint in parse_constraints(constraints):
            values = whole.costs()[constraint.cost](whole.canonicalize(batch))
            assert (values >= constraint.low).all()
            assert (values <= constraint.high).all()
    outside = space.mutate(whole.sample(50, rng), rng)  # from parents anywhere
    assert space.contains(outside).all()


def test_members_of_a_listed_space_are_all_and_drawn_uniformly() -> None:
    whole = NASBench201()
    space = ConstrainedSpace(whole, ["macs<=100e6", "params>=0.2e6"])
    rows = whole.enumerate()
    forms = whole.canonicalize(rows)  # without edges that have no effect
    expected = rows[(whole.macs(forms) <= 100e6) & (whole.parameters(forms) >= 0.2e6)]
    assert np.array_equal(space.enumerate(), expected)
    assert space.size == len(expected)
    assert space.describe()["constraints"] == ["macs<=100000000", "params>=200000"]


def test_constraints_on_a_subset_and_of_ones_own() -> None:
    whole = NASBench201()
    subset = SubsetSpace(whole, whole.enumerate()[::7])
    space = ConstrainedSpace(subset, "skips<=1", costs={"skips": lambda g: (g == 1).sum(axis=1)})
    rows = subset.enumerate()
    assert space.size == ((rows == 1).sum(axis=1) <= 1).sum()


def test_costs_that_limits_know_are_features_and_objectives() -> None:
    space = ConstrainedSpace(chain(), "sum<=17", costs={"sum": total, "first": lambda g: g[:, 0]})
    rows = space.sample(5, np.random.default_rng(0))
    assert list(space.costs()) == ["sum", "first"]
    features = get_encoder("costs", space).fit_transform(rows)
    assert np.allclose(features, np.log1p(np.stack([total(rows), rows[:, 0]], axis=1)))
    assert "costs" in default_encoder(space)
    assert np.array_equal(Costs(space, ["sum"])(rows)[:, 0], total(rows))
    inner = ConstrainedSpace(space, "sum<=12")  # a part of a part has them too
    assert list(inner.costs()) == ["sum", "first"]
    assert inner.describe()["constraints"] == ["sum<=17", "sum<=12"]
    other = ConstrainedSpace(chain(), "sum<=17", costs={"sum": total, "first": lambda g: g[:, 1]})
    assert space.describe() != other.describe()


def test_what_the_whole_space_knows_is_passed_on() -> None:
    space = ConstrainedSpace(MOBILE, "macs<=600e6")
    rows = space.sample(5, np.random.default_rng(0))
    assert np.array_equal(space.macs(rows), MOBILE.macs(rows))
    assert space.decode(rows[0]) == MOBILE.decode(rows[0])
    assert space.size == MOBILE.size


def test_constraints_nest() -> None:
    inner = ConstrainedSpace(MOBILE, "macs<=600e6")
    rows = ConstrainedSpace(inner, "params<=8e6").sample(200, np.random.default_rng(0))
    assert (MOBILE.macs(rows) <= 600e6).all()
    assert (MOBILE.parameters(rows) <= 8e6).all()


# -- drawing ----------------------------------------------------------------------------


def test_a_narrow_window_gives_ten_thousand_different_architectures_fast() -> None:
    start = time.process_time()
    space = ConstrainedSpace(MOBILE, "594e6<=macs<=600e6")
    rows = space.sample(10_000, np.random.default_rng(0))
    assert time.process_time() - start < 10  # takes about 1 s on one core
    assert len(np.unique(space.fingerprint(rows))) > 9900
    rows = ConstrainedSpace(MOBILE, "320e6<=macs<=323.2e6").sample(2000, np.random.default_rng(0))
    assert len(np.unique(MOBILE.fingerprint(rows))) > 1800


def test_chains_draw_as_rejection_does() -> None:
    # 30 layers with a sum of at most 17: one architecture in 300 is inside, so that
    # chains are used, yet the exact distribution is at hand by counting.
    space = ConstrainedSpace(chain(), "sum<=17", costs={"sum": total})
    rows = space.sample(20_000, np.random.default_rng(0))
    counts = [1]
    for _ in range(30):
        counts = np.convolve(counts, [1, 1, 1]).tolist()
    share = sum(counts[:18]) / 3**30
    assert share < 0.005
    expected = np.array(counts[:18]) / sum(counts[:18])
    seen = np.bincount(total(rows), minlength=18) / len(rows)
    assert np.abs(seen - expected).sum() / 2 < 0.03
    per_layer = [(rows[:, i] == 0).mean() for i in range(30)]
    # By symmetry all layers are alike; their mean follows from the counts.
    zero = sum(n * c for n, c in zip(*_zeros(), strict=True))
    assert np.mean(per_layer) == pytest.approx(zero, abs=0.01)
    assert np.ptp(per_layer) < 0.06


def _zeros() -> tuple[list[float], list[float]]:
    """Share of zeros and probability for each sum of 30 values of at most 17, by counting."""
    shares, weights = [], []
    for zeros in range(31):
        for ones in range(31 - zeros):
            twos = 30 - zeros - ones
            if ones + 2 * twos <= 17:
                ways = _multinomial(zeros, ones, twos)
                shares.append(zeros / 30)
                weights.append(ways)
    total_ways = sum(weights)
    return shares, [ways / total_ways for ways in weights]


def _multinomial(*counts: int) -> int:
    from math import comb

    ways, left = 1, sum(counts)
    for count in counts:
        ways *= comb(left, count)
        left -= count
    return ways


def test_chains_and_rejection_agree_on_mobilenets(monkeypatch: pytest.MonkeyPatch) -> None:
    window = "585e6<=macs<=600e6"
    exact = ConstrainedSpace(MOBILE, window)
    monkeypatch.setattr("weaknas.spaces.limits.constrained._REJECT_ABOVE", 1.0)
    chained = ConstrainedSpace(MOBILE, window)
    one = exact.sample(8000, np.random.default_rng(1))
    other = chained.sample(8000, np.random.default_rng(2))
    shares = [[(rows == value).mean(axis=0) for value in range(3)] for rows in (one, other)]
    # The standard error of a difference of shares is below 0.008.
    assert np.abs(np.subtract(*shares)).max() < 0.04
    assert abs(MOBILE.macs(one).mean() - MOBILE.macs(other).mean()) < 0.3e6


def test_a_single_architecture_is_found() -> None:
    smallest = MOBILE.macs(np.zeros((1, 45), np.int16))[0]
    space = ConstrainedSpace(MOBILE, f"macs<={smallest}")
    rows = space.sample(5, np.random.default_rng(0))
    assert not MOBILE.canonicalize(rows).any()


# -- what cannot be ---------------------------------------------------------------------


@pytest.mark.parametrize("constraint", ["macs<=100e6", "macs>=2e9"])
def test_infeasible_constraints_say_what_there_is(constraint: str) -> None:
    ends = MOBILE.macs(np.array([[0] * 45, [2] * 45]))
    with pytest.raises(InputError) as caught:
        ConstrainedSpace(MOBILE, constraint)
    # Costs of these nets grow with every choice, so the ends are known exactly.
    for end in ends:
        assert f"{end:.15g}" in str(caught.value)
    assert "fulfils macs" in str(caught.value)


def test_constraints_that_exclude_each_other_say_so() -> None:
    with pytest.raises(InputError, match=r"macs goes from .* params goes from .* together"):
        ConstrainedSpace(MOBILE, ["macs<=230e6", "params>=10e6"])


def test_infeasible_constraints_on_a_listed_space_are_exact() -> None:
    space = NASBench201()
    rows = space.enumerate()
    with pytest.raises(InputError, match=re.escape(f"to {space.macs(rows).max():.15g}") + "$"):
        ConstrainedSpace(space, "macs>=1e9")


def test_a_cost_that_is_no_number_is_outside() -> None:
    space = chain(4)

    def inverse(genotypes: Any) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(total(genotypes) == 0, np.nan, 1 / total(genotypes))

    limited = ConstrainedSpace(space, "inverse<=0.5", costs={"inverse": inverse})
    everything = itertools.product(range(3), repeat=4)
    assert limited.size == sum(sum(row) >= 2 for row in everything)


@pytest.mark.parametrize(("layers", "looked_at"), [(4, "81"), (30, "4,096")])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_cost_that_is_no_number_anywhere_is_named(
    layers: int, looked_at: str, value: float
) -> None:
    def nothing(genotypes: Any) -> Any:
        return np.full(len(genotypes), value)

    with pytest.raises(InputError, match=f"p is no finite number for any of {looked_at} arch"):
        ConstrainedSpace(chain(layers), "p<=3", costs={"p": nothing})


@pytest.mark.parametrize("name", ["architecture", "id", "query", "score"])
def test_costs_have_names_that_records_do_not_use(name: str) -> None:
    message = f"a cost cannot be called '{name}'.* architecture, id, query, score"
    with pytest.raises(InputError, match=message):
        ChoiceSpace({"a": [1, 2]}, costs={name: total})
    with pytest.raises(InputError, match=message):
        ConstrainedSpace(chain(4), f"{name}<=3", costs={name: total})

    class OfItsOwn(ChoiceSpace):
        def costs(self) -> dict[str, Any]:
            return {name: total}

    with pytest.raises(InputError, match=message):
        Costs(OfItsOwn({"a": [1, 2]}), [name])


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ([3], r"costs map names to functions of genotypes, not \[3\]"),
        ({3: total}, "name of a cost must be a text, not 3"),
        ({"p": 3}, r"the cost 'p' must be a function of genotypes.* not 3"),
    ],
)
def test_costs_are_functions_by_name(costs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ChoiceSpace({"a": [1, 2]}, costs=costs)
    with pytest.raises(InputError, match=message):
        ConstrainedSpace(chain(4), "p<=3", costs=costs)


def test_constraints_are_no_set():
    with pytest.raises(InputError, match="constraints are a set, whose order differs"):
        ConstrainedSpace(MOBILE, {"macs<=600e6", "params<=9e6"})


def test_constraints_are_texts_in_a_list() -> None:
    wrong: Any
    for wrong, message in [
        (3, "constraints must be a list of values, not 3"),
        (None, "constraints must be a list of values, not None"),
        ([3], 'a constraint must be a text, not 3; the form is "macs<=600e6"'),
    ]:
        with pytest.raises(InputError, match=message):
            ConstrainedSpace(chain(4), wrong, costs={"p": total})


# -- limits with a confidence -------------------------------------------------------------------


class Uncertain:
    """A sum that may be off by a factor."""

    unit = "ms"

    def __call__(self, genotypes: Any) -> Any:
        return 1.0 + total(genotypes)

    def quantiles(self, genotypes: Any, probabilities: Any) -> Any:
        return [self(genotypes) * (0.5 + share) for share in probabilities]

    def probability(self, genotypes: Any, low: float = 0.0, high: float = np.inf) -> Any:
        return np.clip(high / self(genotypes) - 0.5, 0, 1)


def test_units_and_confidences_are_read() -> None:
    for text in ("latency<=25ms @95%", "latency>=2us", "2ms<=latency<=3ms @90%", "latency<=1 @99%"):
        assert str(parse_constraint(text)) == text
    assert parse_constraint("latency <= 25 ms @ 95 %").confidence == 0.95
    for text in ("latency<=25ms @95", "latency<=25 @", "2ms<=latency<=3s"):
        with pytest.raises(InputError, match="malformed constraint"):
            parse_constraint(text)
    with pytest.raises(InputError, match="above 50 % and below 100 %, not 40 %"):
        parse_constraint("latency<=25ms @40%")


def test_a_limit_with_a_confidence_holds_for_the_quantile() -> None:
    cost, rng = {"latency": Uncertain()}, np.random.default_rng(0)
    for space, bound in ((chain(6), 8.0), (chain(), 40.0)):
        for text, factor in (
            (f"latency<={bound}ms @95%", 1.45),
            (f"latency<={1000 * bound}us@75%", 1.25),
            (f"1ms<=latency<={bound}ms @80%", 1.4),
            (f"latency<={bound}", 1.0),
        ):
            part = ConstrainedSpace(space, text, cost)
            rows = part.sample(300, rng)
            moved = part.mutate(part.crossover(rows, rows[::-1], rng), rng)
            for found in (rows, moved):
                values = Uncertain()(found) * factor
                assert values.max() <= bound * 1.0001
            assert (Uncertain()(rows) * factor).max() > 0.8 * bound


def test_what_is_known_exactly_has_no_confidence() -> None:
    with pytest.raises(InputError, match="the cost 'macs' has no confidence"):
        ConstrainedSpace(MOBILE, "macs<=600e6 @95%")
    with pytest.raises(InputError, match="the cost 'macs' has no unit"):
        ConstrainedSpace(MOBILE, "macs<=600M")
    with pytest.raises(InputError, match=r"the unit 'kg' .*allowed: s, ms"):
        ConstrainedSpace(chain(), "latency<=6kg", {"latency": Uncertain()})
    with pytest.raises(InputError, match=r"latency at 95 % goes from 1.45 to 18.85"):
        ConstrainedSpace(chain(6), "latency<=1ms @95%", {"latency": Uncertain()})


def test_costs_may_have_hyphens() -> None:
    cells = NASBench201()
    space = ConstrainedSpace(cells, ["val-lat<=40e6"], {"val-lat": cells.macs})
    assert space.size == ConstrainedSpace(cells, ["macs<=40e6"]).size
