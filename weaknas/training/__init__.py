"""Training of networks: data sets, protocols, and, with torch, the trainer.

What is named here needs no torch. The rest is imported from its module, e.g.
`weaknas.training.trainer`.
"""

from weaknas.training.data import DATASETS, Dataset, load_dataset
from weaknas.training.protocol import PRESETS, Protocol, get_protocol

__all__ = ["DATASETS", "PRESETS", "Dataset", "Protocol", "get_protocol", "load_dataset"]
