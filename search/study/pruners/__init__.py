"""Pruners, one private file per algorithm; none costs more per report as the study grows."""

from search.study.pruners._names import DEFAULT, NAMES, check, make
from search.study.pruners._rule import Pruning, PruningRule

__all__ = ["DEFAULT", "NAMES", "Pruning", "PruningRule", "check", "make"]
