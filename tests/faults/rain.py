"""An objective whose learner keeps a state, as the text of its file; a test says what its training does besides."""

from __future__ import annotations

from textwrap import indent

_TEXT = """
import numpy as np
from search.contract import Dataset, Metric, Prepared, State, Task
HEAD
class Learner:
    def __init__(self, x):
        self.x, self.done, self.budget = x, 0, 2
    def fit_epoch(self):
        self.done += 1
FIT
        return {}
    def evaluate(self):
        return {"val_loss": self.x}
    def state(self):
        return State({"done": np.array([self.done])}, {})
    def load_state(self, state):
        self.done = int(state.arrays["done"][0])

ROWS = np.arange(120.0).reshape(60, 2)

class Rain:
    def space(self, trial):
        trial.suggest_float("train.x", 0.0, 1.0)
    def data(self, source):
        return DATA
    def metrics(self, dataset):
        return (Metric("val_loss", "minimize"),)
    def preprocess(self, params, train, validation, context):
        return Prepared(train, validation)
    def learner(self, params, prepared, context):
        return Learner(params["train.x"])
    def baseline(self, train, validation, context):
        return {"val_loss": 1.0}
"""


def rain(*, head: str = "", fit: str = "", data: str = 'Dataset("rows", Task.REGRESSION, ROWS, ROWS[:, 0])') -> str:
    """Return the objective.

    Args:
        head: Lines before its learner.
        fit: What the learner does in each epoch, as lines; it has `self.x`.
        data: An expression of its data set.
    """
    return _TEXT.replace("HEAD", head).replace("FIT", indent(fit.strip("\n"), " " * 8)).replace("DATA", data)
