"""What an architecture of a supernet loses by other probabilities than its teacher's."""

from __future__ import annotations

import torch
from torch import Tensor

#: Signs of alpha: of overestimated and of underestimated uncertainty. As published.
ALPHAS = (-1.0, 1.0)
CLIP = 5.0  # of the powers of the ratio of probabilities


def alpha_divergence(logits: Tensor, teacher: Tensor) -> Tensor:
    """Return the larger of two alpha-divergences from the teacher, mean over images.

    ``D_alpha(p || q) = sum q ((p / q)^alpha - 1) / (alpha (alpha - 1))`` for the teacher's p
    (Wang et al., "AlphaNet", ICML 2021, arXiv:2102.07954, eq. 3 and 5); of each
    image the larger of both signs counts. A positive alpha punishes probabilities
    that are too small, a negative one those that are too large. The gradient is
    ``-sum q rho grad log q`` with ``rho = t f'(t) - f(t)`` of the ratio t = p / q, whose powers
    are clipped: single images would else decide a step.

    Parameters
    ----------
    logits : Tensor, shape (n, classes)
    teacher : Tensor, shape (n, classes)
        Its probabilities, float32, without gradients.
    """
    log_q = logits.float().log_softmax(1)
    q = log_q.detach().exp()
    log_ratio = teacher.clamp_min(torch.finfo(teacher.dtype).tiny).log() - log_q.detach()
    values, surrogates = [], []
    for alpha in ALPHAS:
        if alpha == 1:  # the limit: Kullback and Leibler's, f(t) = t log t
            ratio = log_ratio.exp()
            value, rho = ratio * log_ratio, ratio
        else:
            power = (alpha * log_ratio).exp().clamp_max(CLIP)
            value, rho = (power - 1) / (alpha * (alpha - 1)), power / alpha
        values.append((q * value).sum(1))
        surrogates.append(-(q * rho * log_q).sum(1))
    value, surrogate = torch.stack(values), torch.stack(surrogates)
    largest = value.argmax(0, keepdim=True)
    value, surrogate = (each.gather(0, largest).mean() for each in (value, surrogate))
    # The value is that of the divergence, the gradient that of the surrogate.
    return surrogate + (value - surrogate).detach()
