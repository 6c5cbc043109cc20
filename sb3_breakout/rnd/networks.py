"""The two networks of Random Network Distillation."""

import math

import torch as th
from torch import nn

IMAGE_WIDTH = 512  # width of the linear layers and the embedding, as in the paper
VECTOR_WIDTH = 128
SMALLEST_IMAGE = 36  # pixels; smaller images leave nothing after the three convolutions


def make_target(frame_shape: tuple[int, ...]) -> nn.Module:
    """
    The fixed, randomly initialised network (https://arxiv.org/abs/1810.12894, appendix A.2): a trunk and a linear layer.

    :param frame_shape: (channels, height, width) of an image, or (features,)
    :return: network from frames ``(batch, *frame_shape)`` float32 to embeddings (batch, width)
    :raises ValueError: if an image is smaller than ``SMALLEST_IMAGE`` pixels
    """
    trunk, size, width = _trunk(frame_shape)
    target = nn.Sequential(trunk, nn.Linear(size, width)).apply(_initialise)
    return target.requires_grad_(False)


def make_predictor(frame_shape: tuple[int, ...]) -> nn.Module:
    """
    The network that learns to predict the target's embeddings. As in the paper it has two more layers, so that prediction
    errors stem from novelty and not from a lack of capacity.

    :param frame_shape: (channels, height, width) of an image, or (features,)
    :return: network from frames ``(batch, *frame_shape)`` float32 to embeddings (batch, width)
    :raises ValueError: if an image is smaller than ``SMALLEST_IMAGE`` pixels
    """
    trunk, size, width = _trunk(frame_shape)
    predictor = nn.Sequential(
        trunk,
        nn.Linear(size, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, width),
    )
    return predictor.apply(_initialise)


def prediction_errors(target: nn.Module, predictor: nn.Module, frames: th.Tensor) -> th.Tensor:
    """
    Squared distance of the embeddings, averaged over their components (the paper's section 2.2; the average only
    changes the unit).

    :param target: see :func:`make_target`
    :param predictor: see :func:`make_predictor`
    :param frames: ``(batch, *frame_shape)`` float32, whitened
    :return: (batch,) errors, differentiable with respect to the predictor
    """
    return (predictor(frames) - target(frames)).square().mean(dim=1)


def _trunk(frame_shape: tuple[int, ...]) -> tuple[nn.Module, int, int]:
    """:return: the layers below the last linear ones, their number of features, and the width of the last ones"""
    if len(frame_shape) == 1:
        layers = nn.Linear(frame_shape[0], VECTOR_WIDTH), nn.LeakyReLU(), nn.Linear(VECTOR_WIDTH, VECTOR_WIDTH), nn.LeakyReLU()
        return nn.Sequential(*layers), VECTOR_WIDTH, VECTOR_WIDTH
    channels, height, width = frame_shape
    if min(height, width) < SMALLEST_IMAGE:
        raise ValueError(
            f"RND needs images of at least {SMALLEST_IMAGE} pixels in height and width, received {height}x{width}."
        )
    convolutions = nn.Sequential(
        nn.Conv2d(channels, 32, 8, stride=4),
        nn.LeakyReLU(),
        nn.Conv2d(32, 64, 4, stride=2),
        nn.LeakyReLU(),
        nn.Conv2d(64, 64, 3, stride=1),
        nn.LeakyReLU(),
        nn.Flatten(),
    )
    with th.no_grad():
        return convolutions, convolutions(th.zeros(1, *frame_shape)).shape[1], IMAGE_WIDTH


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.orthogonal_(module.weight, gain=math.sqrt(2.0))
        module.bias.data.zero_()  # type: ignore[union-attr]
