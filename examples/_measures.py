"""How good drawn pictures are, for the examples that draw."""

import torch


def frechet_distance(drawn: torch.Tensor, real: torch.Tensor) -> float:
    """Return the squared Fréchet distance between Gaussians fitted to two sets of pictures, (n, ...) and (m, ...).

    |mean - mean'|^2 + trace(C + C' - 2 (C C')^(1/2)) over the grey values themselves (Dowson & Landau 1982); what is
    published as FID takes the features of a large trained network instead (Heusel et al. 2017).
    """
    drawn, real = drawn.flatten(1).double(), real.flatten(1).double()
    values, vectors = torch.linalg.eigh(torch.cov(drawn.T))
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ torch.cov(real.T) @ root).clamp(min=0).sqrt().sum()
    means = (drawn.mean(dim=0) - real.mean(dim=0)).square().sum()
    return (means + drawn.var(dim=0).sum() + real.var(dim=0).sum() - 2 * cross).item()
