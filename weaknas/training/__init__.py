"""Training of networks: data sets, protocols and, with torch, the trainer.

What is named here needs no torch; the rest is imported from its file, e.g.
`weaknas.training.trainer`. May import spaces and registry; a training knows neither
trials nor searches.
"""

from weaknas.training.data import DATASETS, Dataset, load_dataset
from weaknas.training.protocol import PRESETS, Protocol, get_protocol

__all__ = ["DATASETS", "PRESETS", "Dataset", "Protocol", "get_protocol", "load_dataset"]
