"""Training a network in mini-batches, one epoch at a time: the learner that tables and images share.

All randomness of an epoch comes from (seed, epoch), so a state is weights, optimizer moments and one number.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from search.contract import Context, Prepared, State, Task

from . import onnx_models
from .scoring import Shown, class_count, score, target_variance
from .training import Training, make_optimizer, rate_at

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]
Augment = Callable[[Tensor], Tensor]

_PREDICTED_ROWS: Final = 2048  # at once: bounds memory, large enough to be fast

_WEIGHT: Final = "weight."
_MOMENT: Final = "moment."


@contextlib.contextmanager
def seeded(context: Context, stream: int) -> Iterator[None]:
    """Make torch's randomness depend on (seed, stream) inside, and leave it outside as it was."""
    devices = [torch.cuda.current_device()] if context.device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(np.random.SeedSequence([context.seed, stream]).generate_state(1, np.uint64)[0]))
        yield


class TorchLearner(Shown):
    """A network in training.

    Args:
        build: Makes the network; called with torch seeded. Its output is (rows, classes) logits, or (rows, 1).
        training: How its weights are moved.
        prepared: Rows whose features are float32 arrays; only batches of them are copied, so that workers share them.
        context: `max_epochs` passes over the rows make a full training; the learning-rate schedule is sized to it.
        class_weights: (classes,) how much each counts in the training loss, or None.
        augment: Varies a batch of training features, with torch seeded.
        units: Parts of a full training, at most one a pass; None for one a pass. What follows calls one an epoch.
        least_steps: An epoch passes over the rows as often as it takes to make so many steps.
    """

    def __init__(
        self,
        build: Callable[[], nn.Module],
        training: Training,
        prepared: Prepared,
        context: Context,
        *,
        class_weights: Array | None = None,
        augment: Augment | None = None,
        units: int | None = None,
        least_steps: int = 1,
    ) -> None:
        torch.set_num_threads(context.threads)
        self.budget = min(units or context.max_epochs, context.max_epochs)
        self.epoch = 0
        self._training = training
        self._prepared = prepared
        self._context = context
        self._augment = augment
        self._device = torch.device(context.device)
        with seeded(context, 0):
            self._net = build().to(self._device)
        self._optimizer = make_optimizer(training, self._net)
        self._features = _shared(prepared.train.features).to(self._device)
        self._target = self._scaled_target()
        self._validation = _shared(prepared.validation.features).to(self._device)
        self._weights = (
            None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32, device=self._device)
        )
        batches = -(-len(self._features) // training.batch)
        self._passes = max(-(-context.max_epochs // self.budget), -(-least_steps // batches))
        self._steps = self._passes * batches  # of one epoch

    def fit_epoch(self) -> Mapping[str, float]:
        """Train one epoch and return its mean loss, of the augmented, smoothed and weighted kind that is minimized."""
        self._net.train()
        total = torch.zeros((), device=self._device)
        with seeded(self._context, 1 + self.epoch):
            done = self.epoch * self._steps
            for step, rows in enumerate(self._batches()):
                self._set_rate((done + step) / (self.budget * self._steps))
                total += self._step(rows)
        self.epoch += 1
        return {"train_loss": float(total) / self._steps}

    def evaluate(self) -> Mapping[str, float]:
        """Measure the validation rows."""
        self._predicted = self._predict(self._validation)
        return score(self._predicted, self._prepared.validation, self._prepared.train, self._context)

    def predict(self, features: Array) -> Array:
        """Return (rows, classes) probabilities, or (rows,) values, of prepared features."""
        return self._predict(torch.tensor(features, device=self._device))

    def onnx(self) -> onnx.ModelProto:
        """Return it as a graph from prepared features to what `predict` returns."""
        example = np.asarray(self._prepared.train.features[:1])
        if self._context.task is Task.REGRESSION:
            return onnx_models.network(self._net, example, classes=0, shift=self._mean, scale=self._deviation)
        return onnx_models.network(self._net, example, classes=class_count(self._prepared.train, self._context))

    def weights(self) -> Mapping[str, Array]:
        """Return copies of the weights, by name."""
        return {name: _array(tensor) for name, tensor in self._net.state_dict().items()}

    def state(self) -> State:
        """Return copies of the weights and the optimizer's moments, and the epochs done."""
        arrays = {f"{_WEIGHT}{name}": _array(tensor) for name, tensor in self._net.state_dict().items()}
        for index, moments in self._optimizer.state_dict()["state"].items():
            for name, value in moments.items():
                if value is not None:
                    arrays[f"{_MOMENT}{index}.{name}"] = _array(torch.as_tensor(value))
        return State(arrays, {"epoch": self.epoch})

    def load_state(self, state: State) -> None:
        """Go on from `state`.

        Raises:
            RuntimeError: It belongs to another architecture.
        """
        weights: dict[str, Tensor] = {}
        moments: dict[int, dict[str, Tensor]] = {}
        for name, array in state.arrays.items():
            tensor = torch.tensor(array)
            if name.startswith(_WEIGHT):
                weights[name.removeprefix(_WEIGHT)] = tensor
            else:
                index, _, moment = name.removeprefix(_MOMENT).partition(".")
                # A file may have made the count of steps an array of one number.
                moments.setdefault(int(index), {})[moment] = tensor.reshape(()) if moment == "step" else tensor
        self._net.load_state_dict(weights)
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": moments})
        self.epoch = int(state.meta["epoch"])

    def _scaled_target(self) -> Tensor:
        target = self._prepared.train.target
        if self._context.task.is_classification:
            return torch.tensor(target, dtype=torch.int64, device=self._device)
        # In units of the target's deviation, so that one learning rate suits all targets.
        self._mean, self._deviation = float(target.mean()), target_variance(self._prepared.train) ** 0.5
        return torch.tensor((target - self._mean) / self._deviation, dtype=torch.float32, device=self._device)

    def _batches(self) -> Iterator[Tensor]:
        """Yield the row numbers of each batch; torch is seeded."""
        for _ in range(self._passes):
            yield from torch.split(torch.randperm(len(self._features)).to(self._device), self._training.batch)

    def _step(self, rows: Tensor) -> Tensor:
        features = self._features[rows]
        if self._augment is not None:
            features = self._augment(features)
        loss = self._loss(self._net(features), self._target[rows])
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._training.clip_norm > 0:
            nn.utils.clip_grad_norm_(self._net.parameters(), self._training.clip_norm)
        self._optimizer.step()
        return loss.detach()

    def _loss(self, output: Tensor, target: Tensor) -> Tensor:
        if self._context.task is Task.REGRESSION:
            return functional.mse_loss(output[:, 0], target)
        smoothing = self._training.smoothing
        return functional.cross_entropy(output, target, weight=self._weights, label_smoothing=smoothing)

    def _set_rate(self, position: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self._training.lr * rate_at(self._training.schedule, position)

    @torch.no_grad()
    def _predict(self, features: Tensor) -> Array:
        self._net.eval()
        # copies: a network that writes into its input must not write into rows that others share
        parts = (rows.clone() for rows in torch.split(features, _PREDICTED_ROWS))
        output = torch.cat([self._net(rows) for rows in parts]).double()
        if self._context.task is Task.REGRESSION:
            return _array(output[:, 0] * self._deviation + self._mean)
        return _array(output.softmax(dim=1))


def _shared(array: Array) -> Tensor:
    """Return the array itself as a tensor; nobody may write into it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that torch cannot keep anybody from writing
        return torch.from_numpy(array)


def _array(tensor: Tensor) -> Array:
    return np.array(tensor.detach().cpu().numpy())
