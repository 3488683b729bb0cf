"""What an augmentation policy is, and how it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass

from weaknas.errors import InputError, check_number, check_whole, shown, unknown

#: The operations of AutoAugment (Cubuk et al., CVPR 2019, arXiv:1805.09501, table 6) less
#: SamplePairing; those that have a magnitude first.
WITH_MAGNITUDE = (
    "shear-x", "shear-y", "translate-x", "translate-y", "rotate", "solarize", "posterize",
    "contrast", "color", "brightness", "sharpness", "cutout",
)  # fmt: skip
OPERATIONS = (*WITH_MAGNITUDE, "auto-contrast", "equalize", "invert")
IDENTITY = "identity"
#: Of RandAugment (Cubuk et al., 2020, arXiv:1909.13719, section 3).
RANDAUGMENT = (
    IDENTITY, "auto-contrast", "equalize", "rotate", "solarize", "color", "posterize",
    "contrast", "brightness", "sharpness", "shear-x", "shear-y", "translate-x", "translate-y",
)  # fmt: skip
#: A magnitude of this is the largest.
MAGNITUDES = 10
_MOST_DRAWS = 100
_CALL = re.compile(r"([a-z-]+)(?:\(([^()]*)\))?")


@dataclass(frozen=True)
class Operation:
    """One step of a sub-policy.

    Parameters
    ----------
    name : str
        One of `OPERATIONS`, or ``"identity"``.
    probability : float
        With which an image goes through it.
    magnitude : float
        From 0, the weakest, to 10; no matter for operations without one.

    Raises
    ------
    InputError
        When there is no such operation, or a number is out of its bounds.
    """

    name: str
    probability: float = 1.0
    magnitude: float = 0.0

    def __post_init__(self) -> None:
        known = (*OPERATIONS, IDENTITY)
        if self.name not in known:
            raise unknown("operation of a policy", self.name, known)
        check_number(f"probability of {self.name}", self.probability, least=0, most=1)
        check_number(f"magnitude of {self.name}", self.magnitude, least=0, most=MAGNITUDES)

    def __str__(self) -> str:
        numbers = f"{self.probability:g}"
        if self.name in WITH_MAGNITUDE:
            numbers += f",{self.magnitude:g}"
        return self.name if self.name == IDENTITY else f"{self.name}({numbers})"


@dataclass(frozen=True)
class Policy:
    """Sub-policies of which each image draws some, and goes through their operations in order.

    Parameters
    ----------
    subpolicies : tuple of tuple of Operation
    draws : int
        Of sub-policies by an image, with replacement: one in AutoAugment; in RandAugment,
        whose sub-policies are single operations, its N.

    Raises
    ------
    InputError
        When there are no sub-policies, or the number of draws cannot be used.
    """

    subpolicies: tuple[tuple[Operation, ...], ...]
    draws: int = 1

    def __post_init__(self) -> None:
        if not self.subpolicies:
            raise InputError("a policy has at least one sub-policy")
        check_whole("draws of a policy", self.draws, most=_MOST_DRAWS)

    def __str__(self) -> str:
        texts = ["+".join(map(str, steps)) or IDENTITY for steps in self.subpolicies]
        return ("" if self.draws == 1 else f"{self.draws}*") + "|".join(texts)


def randaugment(operations: int, magnitude: float) -> Policy:
    """Return the policy of RandAugment: so many operations an image, all of one magnitude."""
    single = tuple((Operation(name, 1.0, magnitude),) for name in RANDAUGMENT)
    return Policy(single, operations)


def read_policy(text: str) -> Policy:
    """Read the text of a policy.

    ``rotate(0.8,4)+invert(0.1)|shear-x(0.5,9)``: two sub-policies; the first rotates with
    probability .8 and magnitude 4 of 10, then inverts with probability .1. ``2*`` before
    all draws two sub-policies an image. ``randaugment(2,9)`` draws two operations of
    magnitude 9.

    Raises
    ------
    InputError
        When the text is not of this form, or an operation or number cannot be used.

    Examples
    --------
    >>> policy = read_policy("rotate(0.8,4)+invert(0.1)|shear-x(0.5,9)")
    >>> policy.subpolicies[0][0]
    Operation(name='rotate', probability=0.8, magnitude=4.0)
    >>> str(policy)
    'rotate(0.8,4)+invert(0.1)|shear-x(0.5,9)'
    >>> read_policy("randaugment(2,9)").draws
    2
    """
    name, numbers = _read_call(text.strip(), text)
    if name == "randaugment":
        if len(numbers) != 2 or not numbers[0].is_integer():
            raise InputError(f"RandAugment is randaugment(operations,magnitude), not {text!r}")
        return randaugment(int(numbers[0]), numbers[1])
    before, times, rest = text.strip().partition("*")
    draws, listed = (before, rest) if times else ("1", before)
    if not draws.isdecimal():
        raise _malformed(text)
    read = [
        tuple(_read_operation(step.strip(), text) for step in steps.split("+"))
        for steps in listed.split("|")
    ]
    return Policy(tuple(read), int(draws))


def _read_operation(step: str, text: str) -> Operation:
    name, numbers = _read_call(step, text)
    if not name:
        raise _malformed(text)
    operation = Operation(name, *numbers[:2])  # tells first what is unknown
    if len(numbers) != (0 if name == IDENTITY else 2 if name in WITH_MAGNITUDE else 1):
        raise _malformed(text)
    return operation


def _read_call(step: str, text: str) -> tuple[str, list[float]]:
    """Return name and numbers of ``name(number,number)``; no name where it is not that."""
    found = _CALL.fullmatch(step)
    if found is None:
        return "", []
    name, inside = found.groups()
    try:
        return name, [] if inside is None else [float(number) for number in inside.split(",")]
    except ValueError:
        raise _malformed(text) from None


def _malformed(text: str) -> InputError:
    return InputError(
        f"malformed augmentation policy {shown(text)}; the form is"
        " operation(probability,magnitude)+...|..., e.g. rotate(0.8,4)+invert(0.1)|shear-x(0.5,9)"
    )
