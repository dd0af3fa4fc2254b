"""Pruners, one private file per algorithm; none costs more per report as the study grows."""

from search.study.pruners._names import AUTO, DEFAULT, NAMES, check, check_metrics, make
from search.study.pruners._rule import NO_LIMIT, Judged, Pruning, PruningRule, Reached

__all__ = [
    "AUTO",
    "DEFAULT",
    "NAMES",
    "NO_LIMIT",
    "Judged",
    "Pruning",
    "PruningRule",
    "Reached",
    "check",
    "check_metrics",
    "make",
]
