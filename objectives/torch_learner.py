"""Training a network in mini-batches, one epoch at a time: the learner that tables and images share.

All randomness of an epoch comes from (seed, epoch), so a state is weights, optimizer moments and one number.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, distributed, nn

from search.contract import Context, Part, Prepared, State, Task

from . import onnx_models
from .ddp import Crew, Job, Place, device_of
from .gradients import Gradients, seeded
from .idle import Idle
from .increments import STREAM, prepare_to_step, seeded_here
from .loading import Rows, fits, free_bytes
from .norms import has_norms
from .precision import autocast
from .scoring import Shown, class_count, score, target_variance
from .training import Training, make_optimizer, rate_at

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]
Augment = Callable[[Tensor], Tensor]

_PREDICTED_ROWS: Final = 2048  # at once: bounds memory, large enough to be fast

_WEIGHT: Final = "weight."
_MOMENT: Final = "moment."


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
        place: Where this process stands among those that train together; by itself it is the first of `devices`, and
            starts the others when training begins.

    Attributes:
        splits_batches: It can go through a batch in parts.
    """

    splits_batches = True

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
        place: Place | None = None,
    ) -> None:
        self._place = place or Place(0, context.devices)
        torch.set_num_threads(max(1, context.threads // self._place.world))
        self.budget = min(units or context.max_epochs, context.max_epochs)
        self.epoch = 0
        self._increments = 0  # steps of `partial_fit`
        self._training = training
        self._prepared = prepared
        self._context = context
        self._augment = augment
        self._device = device_of(context, self._place)
        if self._device.index is not None:
            torch.cuda.set_device(self._device)
        with seeded(context, 0):
            self._net = build().to(self._device).eval()
        self._parameters = [*self._net.parameters()]
        self._optimizer = make_optimizer(training, self._net)
        features, validation = _shared(prepared.train.features), _shared(prepared.validation.features)
        resident = fits(features.nbytes + validation.nbytes, free_bytes(self._device))
        self._features = Rows(features, self._device, resident=resident)
        self._validation = validation.to(self._device) if resident else validation
        self._target = self._scaled_target()
        weights = (
            None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32, device=self._device)
        )
        self._gradients = Gradients(self._net, context, self._place, self._device, weights, training.smoothing)
        self._more = {"class_weights": class_weights, "augment": augment, "units": units, "least_steps": least_steps}
        self._crew: Crew | None = None
        self._idle = Idle(self._device)
        batches = -(-len(self._features) // training.batch)
        self._passes = max(-(-context.max_epochs // self.budget), -(-least_steps // batches))
        self._steps = self._passes * batches  # of one epoch

    def begin(self) -> None:
        """Get ready to train: with the other ranks, if there are any, and compiled, if that is wished."""
        if self._gradients.is_ready:
            return
        if self._place.world > 1 and self._place.rank == 0:
            net = copy.deepcopy(self._net).cpu()
            job = Job(net, self._training, self._context, self._more, self._place, self.state())
            self._crew = Crew(job, self._prepared.train)
        self._gradients.begin()

    def fit_epoch(self) -> Mapping[str, float]:
        """Train one epoch and return its mean loss, of the augmented, smoothed and weighted kind that is minimized.

        Raises:
            RuntimeError: Another rank failed or is gone.
        """
        self.begin()
        if self._crew is None:
            total = self._train()
        else:
            self._crew.begin_epoch()
            try:
                total = self._train()
            except Exception as error:
                raise self._crew.fault(error) from error
            self._crew.end_epoch()
        if self._gradients.compiled is not None:
            self._gradients.compiled.settled = True
        self._idle.end_epoch()
        self.epoch += 1
        return {"train_loss": total / self._steps}

    @property
    def gpu_idle(self) -> float | None:
        """Share of the training time in which the GPU waited for a batch; None on a CPU."""
        return self._idle.share

    @property
    def notes(self) -> tuple[str, ...]:
        """How compiling went, and where batches in parts are not what whole ones are."""
        compiled = self._gradients.compiled
        found = [compiled.note] if compiled is not None and compiled.note else []
        if self._context.micro_batches > 1 and has_norms(self._net):
            found.append("its batches were split, and its batch norms saw each part by itself")
        return tuple(found)

    def close(self) -> None:
        """End the other ranks."""
        if self._crew is not None:
            self._crew.close()
            self._gradients.leave()
            self._crew = None

    def evaluate(self) -> Mapping[str, float]:
        """Measure the validation rows."""
        with autocast(self._context.precision, self._device):
            self._predicted = self._predict(self._validation)
        return score(self._predicted, self._prepared.validation, self._prepared.train, self._context)

    def predict(self, features: Array) -> Array:
        """Return (rows, classes) probabilities, or (rows,) values, of prepared features, in float32 as its graph."""
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # else a GPU rounds to ten bits
            return self._predict(torch.tensor(features))

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
        meta = {"epoch": self.epoch}
        return State(arrays, meta | {"increments": self._increments} if self._increments else meta)

    def load_state(self, state: State) -> None:
        """Go on from `state`.

        Raises:
            RuntimeError: It belongs to another architecture.
        """
        self.close()  # other ranks start with what is here when training goes on
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
        self._net.eval().load_state_dict(weights)
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": moments})
        self.epoch = int(state.meta["epoch"])
        self._increments = int(state.meta.get("increments", 0))

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Go on from the weights of a trained network of the same architecture.

        Raises:
            RuntimeError: They belong to another one.
        """
        self._net.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
        self.epoch = self.budget

    def partial_fit(self, part: Part) -> None:
        """Move the weights by a step, as in training, but at a constant rate; not where gradients are no numbers."""
        self.begin()
        if not self._net.training:
            prepare_to_step(self._net, self._optimizer, self._training)
        with seeded_here(self._context, STREAM, self._increments):
            rows = torch.tensor(part.features, device=self._device)
            self._step(rows, self._scaled(part.target), STREAM, self._increments)
        self._increments += 1

    def _scaled_target(self) -> Tensor:
        target = self._prepared.train.target
        if not self._context.task.is_classification:
            # In units of the target's deviation, so that one learning rate suits all targets.
            self._mean, self._deviation = float(target.mean()), target_variance(self._prepared.train) ** 0.5
        return self._scaled(target)

    def _scaled(self, target: Array) -> Tensor:
        if self._context.task.is_classification:
            return torch.tensor(target, dtype=torch.int64, device=self._device)
        return torch.tensor((target - self._mean) / self._deviation, dtype=torch.float32, device=self._device)

    def _train(self) -> float:
        """Train one epoch and return the sum of the losses of its batches."""
        self._net.train()
        total = torch.zeros((), device=self._device)
        with seeded(self._context, 1 + self.epoch):
            done = self.epoch * self._steps
            for step, (rows, features) in enumerate(self._batches()):
                self._set_rate((done + step) / (self.budget * self._steps))
                with self._idle.batch():
                    total += self._step(features, self._target[rows], 1 + self.epoch, done + step)
        self._net.eval()
        if self._place.world > 1:
            distributed.all_reduce(total)
        return float(total)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the row numbers and features of each batch; torch is seeded."""
        for _ in range(self._passes):
            yield from self._features.batches(torch.randperm(len(self._features)), self._training.batch)

    def _step(self, features: Tensor, target: Tensor, *stream: int) -> Tensor:
        if self._augment is not None:
            features = self._augment(features)
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._gradients.of(features, target, *stream)
        clip, is_increment = self._training.clip_norm, stream[0] == STREAM
        if clip > 0 or is_increment:
            length = nn.utils.clip_grad_norm_(self._parameters, clip or torch.inf)
        if not is_increment or torch.isfinite(length):
            self._optimizer.step()
        return loss

    def _set_rate(self, position: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self._training.lr * rate_at(self._training.schedule, position)

    @torch.no_grad()
    def _predict(self, features: Tensor) -> Array:
        self._net.eval()
        # copies: a network that writes into its input must not write into rows that others share
        parts = (rows.to(self._device, copy=True) for rows in torch.split(features, _PREDICTED_ROWS))
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
