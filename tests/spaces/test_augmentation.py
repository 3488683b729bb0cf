"""Augmentation policies: how they are written, and which are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.spaces.augmentation import AugmentationSpace, RandAugmentSpace, read_policy
from weaknas.spaces.augmentation.policy import OPERATIONS, RANDAUGMENT, randaugment
from weaknas.training.protocol import Protocol

SPACE = AugmentationSpace(subpolicies=2)


def architecture(space: AugmentationSpace = SPACE, **values: Any) -> Any:
    """All probabilities but those given are zero."""
    zero = {name: 0.0 for name in space.variables if name.startswith("probability")}
    return space.architecture(
        space.encode(zero | {k.replace("_", "."): v for k, v in values.items()})
    )


def test_a_policy_is_what_was_chosen():
    chosen = architecture(
        probability1_1=0.8, operation1_1="rotate", magnitude1_1=4,
        probability1_2=0.1, operation1_2="invert",
        probability2_2=0.5, operation2_2="shear-x", magnitude2_2=9,
    )  # fmt: skip
    # Sub-policies have an order of their own: that of their numbers.
    text = SPACE.training_options(chosen)["auto_augment"]
    assert sorted(text.split("|")) == ["rotate(0.8,4)+invert(0.1)", "shear-x(0.5,9)"]
    assert read_policy(text) == SPACE.policy(chosen)


def test_what_makes_no_difference_makes_no_other_architecture():
    one = {"probability1_1": 0.3, "operation1_1": "color", "magnitude1_1": 2}
    same = {name.replace("1_1", "2_1"): value for name, value in one.items()}
    assert architecture(**one).id == architecture(**same).id
    assert (
        architecture(**one).id != architecture(**one, probability1_2=0.2, operation1_2="invert").id
    )
    assert "magnitude" not in architecture(probability1_1=0.2, operation1_1="invert").text
    assert SPACE.training_options(architecture())["auto_augment"] == "identity|identity"


def test_policies_are_read_as_they_are_written():
    text = "3*identity|cutout(1,10)+equalize(0.5)"
    assert str(read_policy(text)) == text
    policy = read_policy("randaugment(2, 9)")
    assert policy == randaugment(2, 9) == RandAugmentSpace().policy("operations=2,magnitude=9")
    assert len(policy.subpolicies) == len(RANDAUGMENT) == 14
    assert policy.draws == 2
    assert set(RANDAUGMENT) - {"identity"} < set(OPERATIONS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rotat(0.8,4)", "did you mean 'rotate'"),
        ("rotate(0.8)", "malformed augmentation policy"),
        ("invert(0.5,3)", "malformed augmentation policy"),
        ("rotate(1.8,4)", "probability of rotate must be a number at least 0 and at most 1"),
        ("rotate(.8,11)", "magnitude of rotate .* at most 10"),
        ("rotate(a,4)", "malformed augmentation policy"),
        ("x*invert(1)", "malformed augmentation policy"),
        ("0*invert(1)", "draws of a policy must be at least 1"),
        ("randaugment(1)", r"randaugment\(operations,magnitude\)"),
    ],
)
def test_bad_policies_are_refused_in_one_line(text, message):
    with pytest.raises(InputError, match=message) as caught:
        Protocol(auto_augment=text)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_no_policy_is_refused():
    with pytest.raises(InputError, match="did you mean 'randaugment'"):
        Protocol(auto_augment="randaugmnt")
    with pytest.raises(InputError, match="subpolicies must be at least 1"):
        weaknas.get_space("augmentation", subpolicies=0)


def test_a_training_is_as_the_policy_says():
    pytest.importorskip("torch")
    from weaknas.evaluators.train import TrainEvaluator

    seen = []

    class Watched(TrainEvaluator):
        def _outcome(self, architecture, protocol, seed, epochs):
            seen.append(protocol.auto_augment)
            raise InterruptedError

    space = weaknas.get_space("randaugment")
    for row in space.sample(2, np.random.default_rng(0)):
        (chosen,) = space.architectures(row[None])
        with pytest.raises(InterruptedError):
            Watched(space).evaluate(chosen, seed=0)
        assert seen[-1] == space.training_options(chosen)["auto_augment"]
