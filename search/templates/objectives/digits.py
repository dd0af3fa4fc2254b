"""Read handwritten digits: 1,797 images of 8 x 8 pixels, packaged with scikit-learn."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from search.contract import Run, objective


@objective(space="digits", metrics={"val_loss": "minimize", "val_accuracy": "maximize"})
def digits(run: Run) -> Iterator[dict[str, float]]:
    """Train a small network, and yield its metrics after each epoch."""
    params: Any = run.params
    # data: the same split in every trial, or their scores could not be compared
    images, labels = load_digits(return_X_y=True)
    x, x_val, y, y_val = train_test_split(images, labels, test_size=0.25, stratify=labels, random_state=0)

    # preprocess: fitted on the training rows alone
    mean, spread = x.mean(), x.std() if params["preprocess.standardize"] else 1.0
    x, x_val = (x - mean) / spread, (x_val - mean) / spread

    # train and evaluate: sweep prunes a poor trial after any epoch
    model = MLPClassifier(
        hidden_layer_sizes=[params["model.width"]] * params["model.depth"],
        learning_rate_init=params["train.lr"],
        alpha=params["train.weight_decay"],
        batch_size=64,
        random_state=run.seed,
    )
    for _ in run.epochs:
        model.partial_fit(x, y, classes=np.arange(10))
        probability = model.predict_proba(x_val)
        accuracy = float((probability.argmax(axis=1) == y_val).mean())
        yield {"val_loss": log_loss(y_val, probability), "val_accuracy": accuracy}
