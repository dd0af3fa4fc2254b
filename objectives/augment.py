"""Vary images as a camera or a hand would: shift, turn, mirror."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from search.contract import Params

from .params import read_bool, read_float


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far a training image may be moved; each time another way.

    Attributes:
        shift: Largest shift, as a share of the image's side.
        rotate_deg: Largest turn, in degrees.
        flip: Whether half of the images are mirrored left to right.
    """

    shift: float = 0.0
    rotate_deg: float = 0.0
    flip: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.shift < 1:
            raise ValueError(f"train.shift must be a share of the side in [0, 1), got {self.shift}")
        if not 0 <= self.rotate_deg <= 180:
            raise ValueError(f"train.rotate_deg must be in [0, 180], got {self.rotate_deg}")

    @classmethod
    def of(cls, params: Params) -> Augmentation:
        """Read the parameters under `train.`, given with this prefix."""
        return cls(
            shift=read_float(params, "train.shift", 0.0),
            rotate_deg=read_float(params, "train.rotate_deg", 0.0),
            flip=read_bool(params, "train.flip", False),
        )

    def __call__(self, images: Tensor) -> Tensor:
        """Return images (rows, channels, height, width), each moved in its own way; what comes in is 0."""
        if self.shift == 0 and self.rotate_deg == 0 and not self.flip:
            return images
        rows = len(images)
        angle = self._uniform(rows, images) * math.radians(self.rotate_deg)
        mirror = torch.ones(rows, device=images.device)
        if self.flip:
            mirror = torch.randint(0, 2, (rows,), device=images.device) * 2.0 - 1.0
        # A shift by the whole side is 2 in the grid's coordinates, which run from -1 to 1.
        shifts = [self._uniform(rows, images) * 2 * self.shift for _ in range(2)]
        turn = torch.stack(
            [
                torch.stack([torch.cos(angle) * mirror, -torch.sin(angle), shifts[0]], dim=1),
                torch.stack([torch.sin(angle) * mirror, torch.cos(angle), shifts[1]], dim=1),
            ],
            dim=1,
        )
        grid = functional.affine_grid(turn, list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, align_corners=False)

    @staticmethod
    def _uniform(rows: int, images: Tensor) -> Tensor:
        return torch.rand(rows, device=images.device) * 2 - 1
