"""What the scripts on the MobileNet space share: the published recipe, and stand-in images."""

from __future__ import annotations

import numpy as np

from weaknas.training import Dataset, Protocol
from weaknas.training.data import Images, from_arrays

#: How MobileNetV3-Large is trained in timm's documentation (RandAugment recipe, 75.8 %):
#: two GPUs with 512 images each. There epsilon is 0.001 under the root; the noise on the
#: learning rate, and magnitudes of RandAugment that are drawn, are left out.
RECIPE = Protocol(
    epochs=600,
    batch_size=1024,
    optimizer="rmsprop",
    learning_rate=0.064,
    momentum=0.9,
    epsilon=0.001**0.5,
    weight_decay=1e-5,
    decay_all=False,
    schedule="step",
    step_epochs=2.4,
    step_factor=0.973,
    warmup=3.0,
    ema=0.9999,
    flip=True,
    auto_augment="randaugment",
    erasing=0.2,
    drop_path=0.2,
    channels_last=True,
    settings={"dropout": 0.2},
)
#: Seconds on one core, without torchvision.
QUICK_RECIPE = RECIPE.with_options(
    {"epochs": 2, "batch_size": 24, "warmup": 0.0, "auto_augment": "none", "ema": 0.5}
)


def stand_in(size: int) -> Dataset:
    """Return a few made-up images of two classes, for --quick."""
    rng = np.random.default_rng(0)

    def images(count: int) -> Images:
        labels = np.arange(count) % 2
        pixels = rng.integers(0, 120, size=(count, 3, size, size), dtype=np.uint8)
        pixels[labels == 1, :, : size // 2] += 120
        return Images(pixels, labels)

    return from_arrays("stand-in", images(48), images(24), ("low", "high"), 24)
