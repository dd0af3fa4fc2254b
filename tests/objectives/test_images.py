"""Rules of image classification."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from objectives.augment import Augmentation
from objectives.images import Images
from objectives.models.cnn import Network, Stage
from objectives.pixels import MAX_VALUES, SCALE, PixelChoices, areas, prepare_images
from search.contract import Context, Part, State, Task

from .tables import digits

GOOD: dict[str, Any] = {
    "model.width": 12,
    "model.depth": 2,
    "train.lr": 1e-2,
    "train.schedule": "one-cycle",
    "train.batch": 32,
    "train.label_smoothing": 0.05,
    "train.shift": 0.07,
    "train.rotate_deg": 8.0,
}


def _images(shape: tuple[int, ...], dtype: type[Any] = np.float32) -> Part:
    random = np.random.default_rng(0)
    pixels = random.random(shape).astype(np.float32)
    if dtype is np.uint8:
        pixels = (255 * pixels).round().astype(np.uint8)
    return Part(pixels, np.arange(len(pixels)) % 2)


def _context(**more: Any) -> Context:
    return Context(seed=1, max_epochs=3, task=Task.BINARY, classes=("a", "b"), **more)


def test_a_good_configuration_reads_985_of_1000_digits() -> None:
    example = digits()
    prepared = Images().preprocess({"scale": "unit"}, example.train, example.validation, example.context)
    learner = Images().learner(GOOD, prepared, example.context)
    best = 0.0
    for _ in range(learner.budget):
        learner.fit_epoch()
        best = max(best, learner.evaluate()["val_accuracy"])
    assert best >= 0.985


def test_the_searched_metric_is_accuracy_and_the_loss_stands_beside_it() -> None:
    names = [metric.name for metric in Images().metrics(None)]  # type: ignore[arg-type]
    assert names[:2] == ["val_accuracy", "val_loss"]
    part = _images((8, 1, 8, 8))
    assert list(Images().baseline(part, part, _context())) == names


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 17, 33), (1, 1, 1), (2, 2, 5), (4, 28, 28)])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_images_of_any_size_and_type_are_learned(shape: tuple[int, int, int], depth: int, dtype: type[Any]) -> None:
    part = _images((10, *shape), dtype)
    prepared = Images().preprocess({}, part, part, _context())
    learner = Images().learner({"model.width": 4, "model.depth": depth}, prepared, _context())
    assert math.isfinite(learner.fit_epoch()["train_loss"])
    assert math.isfinite(learner.evaluate()["val_loss"])


@pytest.mark.parametrize(("side", "after"), [(1, 1), (2, 2), (3, 3), (4, 2), (7, 3), (8, 4)])
def test_maps_are_never_halved_below_two_pixels(side: int, after: int) -> None:
    maps = Stage(1, 4)(torch.zeros(2, 1, side, side))
    assert tuple(maps.shape) == (2, 4, after, after)


def test_a_network_gives_one_logit_a_class() -> None:
    net = Network(3, 7, width=4, depth=2, dropout=0.1)
    assert tuple(net(torch.zeros(5, 3, 9, 9)).shape) == (5, 7)


@pytest.mark.parametrize(("scale", "low", "high"), [("unit", 0, 1), ("symmetric", -1, 1)])
def test_a_bounded_scale_keeps_pixels_in_its_range(scale: str, low: float, high: float) -> None:
    part = _images((20, 1, 4, 4), np.uint8)
    features = Images().preprocess({"scale": scale}, part, part, _context()).train.features
    assert features.min() >= low
    assert features.max() <= high


def test_a_standard_scale_is_fitted_per_channel_on_train_alone() -> None:
    train, validation = _images((50, 3, 4, 4)), _images((9, 3, 4, 4))
    first = Images().preprocess({"scale": "standard"}, train, validation, _context())
    other = Part(validation.features * 0, validation.target)
    second = Images().preprocess({"scale": "standard"}, train, other, _context())
    np.testing.assert_array_equal(first.train.features, second.train.features)
    np.testing.assert_allclose(first.train.features.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(first.train.features.std(axis=(0, 2, 3)), 1, rtol=1e-4)


@pytest.mark.parametrize("scale", SCALE)
def test_images_of_one_colour_do_not_break_a_scale(scale: str) -> None:
    part = Part(np.full((6, 1, 4, 4), 0.5, dtype=np.float32), np.arange(6) % 2)
    assert np.isfinite(Images().preprocess({"scale": scale}, part, part, _context()).train.features).all()


@pytest.mark.parametrize(("before", "after"), [(8, 4), (8, 3), (5, 5), (3, 7), (28, 1)])
def test_a_resized_pixel_is_the_mean_of_the_area_that_it_covers(before: int, after: int) -> None:
    shares = areas(before, after)
    assert shares.shape == (after, before)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(shares.sum(axis=0), after / before, rtol=1e-6)  # each old pixel counts alike


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize("whiten", ["none", "zca"])
def test_images_are_resized_before_anything_else(dtype: type[Any], whiten: str) -> None:
    part = _images((30, 3, 8, 6), dtype)
    params: dict[str, Any] = {"resize": 0.5, "scale": "standard", "whiten": whiten}
    features = Images().preprocess(params, part, part, _context()).train.features
    assert features.shape == (30, 3, 4, 3)
    assert features.dtype == np.float32
    if whiten == "none":
        np.testing.assert_allclose(features.std(axis=(0, 2, 3)), 1, rtol=1e-4)


def test_a_halved_image_is_the_mean_of_two_by_two() -> None:
    part = _images((5, 1, 4, 4))
    features = Images().preprocess({"resize": 0.5, "scale": "unit"}, part, part, _context()).train.features
    expected = part.features.reshape(5, 1, 2, 2, 2, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(features, expected, rtol=1e-5)


def test_whitened_pixels_are_uncorrelated_and_still_an_image() -> None:
    example = digits()
    prepared = prepare_images(PixelChoices("standard", whiten="zca"), example.train, example.validation, _context())
    flat = prepared.train.features.reshape(len(prepared.train.features), -1)
    values = np.linalg.eigvalsh(np.cov(flat, rowvar=False))
    kept = values[values > 0.5]
    assert len(kept) > 20
    np.testing.assert_allclose(kept, 1, rtol=1e-3)
    np.testing.assert_allclose(values[values <= 0.5], 0, atol=1e-6)  # noise and dark corners
    centre = np.corrcoef(example.train.features[:, 0, 4, 4], prepared.train.features[:, 0, 4, 4])[0, 1]
    assert centre > 0.5


def test_images_too_large_to_be_whitened_are_refused_with_a_way_out() -> None:
    part = _images((4, 3, 33, 33))
    with pytest.raises(ValueError, match=f"at most {MAX_VALUES} values, got 3 x 33 x 33; try a smaller"):
        Images().preprocess({"whiten": "zca"}, part, part, _context())
    features = Images().preprocess({"whiten": "zca", "resize": 0.5}, part, part, _context()).train.features
    assert features.shape == (4, 3, 16, 16)


@pytest.mark.parametrize("resize", [0.0, -1.0, 5.0])
def test_a_wrong_size_is_told_in_one_sentence(resize: float) -> None:
    part = _images((4, 1, 8, 8))
    with pytest.raises(ValueError, match=r"preprocess.resize must be a share of the sides in \(0, 4\], got"):
        Images().preprocess({"resize": resize}, part, part, _context())


@pytest.mark.parametrize("params", [GOOD, {**GOOD, "train.optimizer": "sgd", "train.sgd_lr": 0.05, "train.flip": True}])
def test_training_that_was_saved_and_loaded_goes_on_bit_by_bit(params: dict[str, Any]) -> None:
    part = _images((40, 1, 8, 8))
    prepared = Images().preprocess({}, part, part, _context())
    whole, half, fresh = (Images().learner(params, prepared, _context()) for _ in range(3))
    expected = [{**whole.fit_epoch(), **whole.evaluate()} for _ in range(3)]
    half.fit_epoch()
    state = half.state()
    fresh.load_state(State(state.arrays, state.meta))
    assert [{**fresh.fit_epoch(), **fresh.evaluate()} for _ in range(2)] == expected[1:]


def test_no_augmentation_leaves_images_alone() -> None:
    pixels = torch.rand(3, 1, 5, 5)
    assert Augmentation()(pixels) is pixels


def test_a_flip_mirrors_about_half_of_the_images() -> None:
    torch.manual_seed(0)
    pixels = torch.rand(200, 2, 5, 5)
    flipped = Augmentation(flip=True)(pixels)
    mirrored = torch.isclose(flipped, pixels.flip(3), atol=1e-4).all(dim=(1, 2, 3))
    same = torch.isclose(flipped, pixels, atol=1e-4).all(dim=(1, 2, 3))
    assert bool((mirrored ^ same).all())
    assert 70 <= int(mirrored.sum()) <= 130


def test_a_shift_moves_no_further_than_its_share_of_the_side() -> None:
    torch.manual_seed(0)
    pixels = torch.zeros(200, 1, 21, 21)
    pixels[:, :, 10, 10] = 1.0
    moved = Augmentation(shift=0.2)(pixels)
    rows = (moved.sum(dim=3)[:, 0] * torch.arange(21.0)).sum(dim=1) / moved.sum(dim=(1, 2, 3))
    distance = (rows - 10).abs()
    assert float(distance.max()) <= 0.2 * 21 + 1
    assert float(distance.max()) > 2


def test_a_turn_keeps_the_centre() -> None:
    torch.manual_seed(0)
    pixels = torch.zeros(20, 1, 9, 9)
    pixels[:, :, 4, 4] = 1.0
    turned = Augmentation(rotate_deg=180.0)(pixels)
    assert torch.allclose(turned[:, 0, 4, 4], torch.ones(20), atol=1e-4)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"train.shift": 1.5}, "train.shift must be a share of the side"),
        ({"train.rotate_deg": -1.0}, "train.rotate_deg must be in"),
        ({"train.flip": 1}, "train.flip must be true or false, got 1"),
    ],
)
def test_a_wrong_augmentation_is_told_in_one_sentence(params: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Augmentation.of(params)
