"""Parameters in words: what the shipped choices of preparing a table do, and any other by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from search.promote.markdown import name, number

_PREPARED: Final[Mapping[str, Mapping[str, str]]] = {
    "impute": {
        "none": "missing numbers stay missing",
        "median": "a missing number becomes the column's median",
        "mean": "a missing number becomes the column's mean",
        "most_frequent": "a missing number becomes the column's most frequent one",
        "knn": "a missing number becomes the mean of the most similar training rows",
    },
    "outliers": {
        "none": "",
        "robust_z": "numbers far out are drawn in to a bound",
        "drop": "training rows that are easy to isolate were left out",
    },
    "duplicates": {"keep": "", "drop": "training rows that equal an earlier one were left out"},
    "scale": {
        "none": "numbers are not scaled",
        "standard": "numbers are scaled to mean 0 and variance 1",
        "symmetric": "numbers are scaled to [-1, 1]",
        "unit": "numbers are scaled to [0, 1]",
        "robust": "numbers are scaled by median and interquartile range",
        "quantile": "numbers become their ranks",
        "power": "numbers are bent towards a normal shape (Yeo-Johnson)",
    },
    "whiten": {
        "none": "",
        "pca": "numbers are made uncorrelated (PCA)",
        "zca": "numbers are made uncorrelated (ZCA)",
        "shrinkage": "numbers are made uncorrelated (ZCA with shrinkage)",
    },
    "encode": {
        "one-hot": "each category has a column",
        "ordinal": "a category becomes a number in the order of its mean target",
        "target": "a category becomes its mean target",
        "hash": "categories are hashed into columns",
    },
    "dates": {
        "category": "dates are categories",
        "parts": "a date becomes its parts",
        "cyclic": "a date becomes its parts and their places in their cycles",
    },
    "text": {
        "category": "",
        "words": "sentences become counts of words (TF-IDF)",
        "characters": "sentences become counts of three characters (TF-IDF)",
    },
    "indicator": {"True": "a column says where a number was missing", "False": ""},
}


def preparation(params: Mapping[str, Any]) -> list[str]:
    """Return what becomes of the raw columns, a phrase each; a choice that does nothing is left out."""
    given = {full.partition(".")[2]: value for full, value in params.items() if full.startswith("preprocess.")}
    ordered = [*(one for one in _PREPARED if one in given), *sorted(given.keys() - _PREPARED.keys())]
    said = [_PREPARED.get(one, {}).get(str(given[one]), f"{name(one)} is {value_of(given[one])}") for one in ordered]
    return [phrase for phrase in said if phrase]


def value_of(value: Any) -> str:
    """Return the value of a parameter, as Markdown."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, (int, float)) else name(str(value))
