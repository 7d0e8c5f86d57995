"""Losses as ``torch`` has them: the reduction is a number (0 none, 1 mean, 2 sum) and none is the default."""

from __future__ import annotations

import torch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def _reduction(name: str, position: int, number: int) -> str:
    if not isinstance(number, int):
        kind = type(number).__name__
        raise TypeError(f"{name}(): argument 'reduction' (position {position}) must be int, not {kind}")
    return {1: "mean", 2: "sum"}.get(number, "none")


def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, reduction: int = 0) -> Tensor:
    """Hinge loss of distances: ``input`` where ``target`` is 1, ``max(0, margin - input)`` where it is -1.

    Args: ``input`` and ``target`` broadcast against each other; ``reduction`` 0 none, 1 mean, 2 sum.

    Example::

        >>> torch.hinge_embedding_loss(torch.tensor([0.5, 0.25]), torch.tensor([1., -1.]))
        tensor([0.5000, 0.7500])
    """
    how = _reduction("hinge_embedding_loss", 4, reduction)
    return torch.nn.functional.hinge_embedding_loss(input, target, margin, reduction=how)


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0
) -> Tensor:
    """``max(0, -target * (input1 - input2) + margin)``, with targets of 1 (first ranks higher) or -1.

    Args: three tensors of one number of dimensions; ``reduction`` 0 none, 1 mean, 2 sum.

    Example::

        >>> torch.margin_ranking_loss(torch.tensor([1., 2.]), torch.tensor([2., 1.]), torch.tensor([1., 1.]))
        tensor([1., 0.])
    """
    how = _reduction("margin_ranking_loss", 5, reduction)
    return torch.nn.functional.margin_ranking_loss(input1, input2, target, margin, reduction=how)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 0
) -> Tensor:
    """``1 - cos`` of the angle between the rows where ``target`` is 1, ``max(0, cos - margin)`` where it is -1.

    Args: inputs (N, D) or (D), target (N) or (); ``reduction`` 0 none, 1 mean, 2 sum.

    Example::

        >>> torch.cosine_embedding_loss(torch.eye(2), torch.eye(2), torch.tensor([1., -1.]))
        tensor([0., 1.])
    """
    how = _reduction("cosine_embedding_loss", 5, reduction)
    return torch.nn.functional.cosine_embedding_loss(input1, input2, target, margin, reduction=how)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: int = 0,
) -> Tensor:
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)`` with the p-norm distance of the rows.

    ``reduction``: 0 none, 1 mean, 2 sum. Source: Balntas and others, 2016.

    Example::

        >>> torch.triplet_margin_loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.ones(1, 2), p=1.0)
        tensor([0.])
    """
    how = _reduction("triplet_margin_loss", 8, reduction)
    return torch.nn.functional.triplet_margin_loss(
        anchor, positive, negative, margin, p, eps, swap, reduction=how
    )


def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int
) -> Tensor:
    """Negative log-likelihood of counts under a Poisson distribution; every argument has to be given.

    ``reduction``: 0 none, 1 mean, 2 sum.

    Example::

        >>> torch.poisson_nll_loss(torch.zeros(2), torch.tensor([0., 3.]), True, False, 1e-8, 0)
        tensor([1., 1.])
    """
    how = _reduction("poisson_nll_loss", 6, reduction)
    return torch.nn.functional.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=how)


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    blank: int = 0,
    reduction: int = 0,
    zero_infinity: bool = False,
) -> Tensor:
    """Connectionist temporal classification loss of each sequence; see ``torch.nn.functional.ctc_loss``.

    ``reduction``: 0 none, 1 mean, 2 sum. Source: Graves and others, 2006.

    Example::

        >>> log_probs = torch.full((2, 1, 2), 0.5).log()
        >>> torch.ctc_loss(log_probs, torch.tensor([[1]]), [2], [1])
        tensor([0.2877])
    """
    how = _reduction("ctc_loss", 6, reduction)
    return torch.nn.functional.ctc_loss(
        log_probs, targets, input_lengths, target_lengths, blank, how, zero_infinity
    )
