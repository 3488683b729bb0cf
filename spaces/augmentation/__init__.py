"""Augmentation policies as spaces: AutoAugment's sub-policies, RandAugment's grid.

`policy` says what a policy is and how it is written; its operations are carried out by
`weaknas.training`. Imports the contract of spaces, `choices` and `residual` alone.
"""

from weaknas.spaces.augmentation.policy import Operation, Policy, read_policy
from weaknas.spaces.augmentation.space import AugmentationSpace, RandAugmentSpace

__all__ = ["AugmentationSpace", "Operation", "Policy", "RandAugmentSpace", "read_policy"]
