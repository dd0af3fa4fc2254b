"""What the head and the advice go by, read once from a study: the `Evidence`."""

from __future__ import annotations

from typing import Any, NamedTuple

from search.records.history import History
from search.report.commands import Commands
from search.report.figures import failures, importances, regret, seeds


class Evidence(NamedTuple):
    """A study and what figures have found in it.

    Attributes:
        history: The study.
        commands: To type about it.
        seeds: The best beside the runners-up and the baseline.
        importances: Of the parameters.
        regret: Which pruned trials might have won.
        failures: By kind, with what each kind shares.
    """

    history: History
    commands: Commands
    seeds: seeds.Info
    importances: importances.Info
    regret: regret.Info
    failures: failures.Info

    @classmethod
    def of(cls, history: History) -> Evidence:
        return cls(
            history,
            Commands.of(history),
            seeds.info(history),
            importances.info(history),
            regret.info(history),
            failures.info(history),
        )

    @property
    def infos(self) -> dict[str, Any]:
        """What is known already of figures, by their keys."""
        return {
            seeds.PLOT.key: self.seeds,
            importances.PLOT.key: self.importances,
            regret.PLOT.key: self.regret,
            failures.PLOT.key: self.failures,
        }
