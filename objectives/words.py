"""Sentences as numbers: how often each term of the training rows occurs, weighed by how rare it is (TF-IDF)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer

# One letter is a word too: an "A" in a column of sizes must not vanish.
_WORD: Final = r"(?u)\b\w+\b"


def vectorizer(kind: str, terms: int) -> TfidfVectorizer:
    """Return an unfitted TF-IDF of the most frequent terms.

    Args:
        kind: `words`, or `characters`: pieces of three, within words.
        terms: How many at most; each becomes a column of float32.
    """
    if kind == "words":
        return TfidfVectorizer(token_pattern=_WORD, max_features=terms, sublinear_tf=True, dtype=np.float32)
    return TfidfVectorizer(
        analyzer="char_wb", ngram_range=(3, 3), max_features=terms, sublinear_tf=True, dtype=np.float32
    )


def has_terms(column: pd.Series[Any], kind: str) -> bool:
    """Tell whether a column of the training rows holds any term."""
    analyze = vectorizer(kind, 1).build_analyzer()
    return any(analyze(text) for text in column)
