"""A convolutional network that fits any image size: residual stages, halved while there is something to halve."""

from __future__ import annotations

from typing import Final, cast

from torch import Tensor, nn
from torch.nn import functional

# Running statistics must have caught up by the first evaluation, after a dozen steps.
_NORM_MOMENTUM: Final = 0.3

# Maps are not halved below this many pixels a side.
_LEAST_SIDE: Final = 2


class Stage(nn.Module):
    """A convolution that widens, and a residual one; then the maps are halved unless that made them too small."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.widen = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width, momentum=_NORM_MOMENTUM),
            nn.ReLU(),
        )
        self.refine = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width, momentum=_NORM_MOMENTUM), nn.ReLU()
        )

    def forward(self, images: Tensor) -> Tensor:
        maps = self.widen(images)
        maps = maps + self.refine(maps)
        if min(maps.shape[-2:]) < 2 * _LEAST_SIDE:
            return cast("Tensor", maps)
        return functional.max_pool2d(maps, 2)


class Network(nn.Module):
    """Stages of growing width, then global average pooling, dropout and a linear layer.

    Args:
        channels: Of an image.
        classes: Outputs.
        width: Of the first stage; each further one is half as wide again.
        depth: Stages.
    """

    def __init__(self, channels: int, classes: int, *, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        widths = [round(width * 1.5**stage) for stage in range(depth)]
        self.stages = nn.Sequential(
            *(Stage(before, after) for before, after in zip([channels, *widths], widths, strict=False))
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return (rows, classes) logits of (rows, channels, height, width) images."""
        features = self.stages(images).mean(dim=(2, 3))
        return cast("Tensor", self.head(self.dropout(features)))
