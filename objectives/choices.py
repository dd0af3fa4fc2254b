"""The choices of preparing a table: what a space may suggest under `preprocess.`, checked once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from search.contract import Context, Params

from .params import read_bool, read_choice, read_float, read_int

IMPUTE: Final = ("none", "median", "mean", "most_frequent", "knn")
OUTLIERS: Final = ("none", "robust_z", "drop")
DUPLICATES: Final = ("keep", "drop")
SCALE: Final = ("none", "standard", "symmetric", "unit", "robust", "quantile", "power")
WHITEN: Final = ("none", "pca", "zca", "shrinkage")
ENCODE: Final = ("one-hot", "ordinal", "target", "hash")
DATES: Final = ("category", "parts", "cyclic")
TEXT: Final = ("category", "words", "characters")

Transformers: TypeAlias = Mapping[str, Mapping[str, Callable[[Context], Any]]]
"""A user's own choices: parameter -> value -> what makes a fresh scikit-learn transformer."""

# Where a user's own transformer can stand; the other choices are numbers, or concern rows.
OPEN: Final = ("impute", "outliers", "scale", "whiten", "encode", "dates", "text")

_PREFIX: Final = "preprocess."


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The choices of the stage; one that a space does not make is not done.

    Attributes:
        impute: What a missing number becomes; `none` keeps it, for a family that handles it; `knn` is the mean of the
            most similar training rows.
        clip: Share of the training rows at each end of a numeric column whose values are drawn in to the quantile.
        scale: `symmetric` is [-1, 1], `unit` is [0, 1], `robust` is by the interquartile range; `quantile` (ranks in
            [-1, 1]) and `power` (Yeo-Johnson) change the shape as well.
        whiten: Makes the numeric columns uncorrelated, of unit variance: `pca` by turning them; `zca` keeps each as
            near to itself as can be; `shrinkage` is `zca` with a covariance drawn towards a ball (Ledoit, Wolf 2004).
        encode: What becomes of categories: a column for each, a number in the order of the mean target, the mean
            target itself (of a training row: that of other rows), or a sum of hashed columns.
        rare: A category with fewer training rows than this is treated like one never seen; hashing knows none.
        outliers: `robust_z` draws values in to `outlier_z` robust deviations from the median; `drop` leaves out the
            `outlier_share` of the training rows that an isolation forest finds the easiest to isolate.
        duplicates: Whether a training row that equals an earlier one, target included, is left out.
        indicator: Whether each numeric column with missing training values gets a column that says where.
        dates: What becomes of a date: a category, its parts as numbers, or these and their places in their cycles.
        text: What becomes of sentences: categories, or TF-IDF of the `terms` most frequent words or three-character
            pieces.
        hash_columns: How many columns all categories are hashed into.
    """

    impute: str = "none"
    clip: float = 0.0
    scale: str = "none"
    whiten: str = "none"
    encode: str = "ordinal"
    rare: int = 1
    outliers: str = "none"
    outlier_z: float = 4.0
    outlier_share: float = 0.02
    duplicates: str = "keep"
    indicator: bool = False
    dates: str = "category"
    text: str = "category"
    terms: int = 200
    hash_columns: int = 32

    def __post_init__(self) -> None:
        if not 0 <= self.clip < 0.5:
            raise ValueError(f"preprocess.clip must be a share in [0, 0.5), got {self.clip}")
        if not self.outlier_z > 0:
            raise ValueError(f"preprocess.outlier_z must be above 0, got {self.outlier_z}")
        if not 0 < self.outlier_share < 0.5:
            raise ValueError(f"preprocess.outlier_share must be a share in (0, 0.5), got {self.outlier_share}")
        if self.impute == "none" and (self.whiten in WHITEN[1:] or self.scale == "power"):
            raise ValueError(
                "preprocess.whiten and the scale 'power' need preprocess.impute: they take no missing value"
            )

    @classmethod
    def of(cls, params: Params, own: Transformers | None = None) -> Preprocessing:
        """Read the stage's parameters, given without their prefix.

        Args:
            own: A user's own transformers, whose names are values like ours.

        Raises:
            ValueError: A parameter has a value that is not offered.
        """
        own = own or {}
        check_own(own)

        def choice(name: str, known: tuple[str, ...], default: str) -> str:
            return read_choice(params, name, (*known, *own.get(_PREFIX + name, ())), default)

        return cls(
            impute=choice("impute", IMPUTE, "none"),
            clip=read_float(params, "clip", 0.0),
            scale=choice("scale", SCALE, "none"),
            whiten=choice("whiten", WHITEN, "none"),
            encode=choice("encode", ENCODE, "ordinal"),
            rare=read_int(params, "rare", 1, minimum=1),
            outliers=choice("outliers", OUTLIERS, "none"),
            outlier_z=read_float(params, "outlier_z", 4.0),
            outlier_share=read_float(params, "outlier_share", 0.02),
            duplicates=read_choice(params, "duplicates", DUPLICATES, "keep"),
            indicator=read_bool(params, "indicator", False),
            dates=choice("dates", DATES, "category"),
            text=choice("text", TEXT, "category"),
            terms=read_int(params, "terms", 200, minimum=1),
            hash_columns=read_int(params, "hash_columns", 32, minimum=1),
        )


_OURS: Final = {
    "impute": IMPUTE,
    "outliers": OUTLIERS,
    "scale": SCALE,
    "whiten": WHITEN,
    "encode": ENCODE,
    "dates": DATES,
    "text": TEXT,
}


def check_own(own: Transformers) -> None:
    """Refuse a user's transformer where none can stand, or under a name of ours.

    Raises:
        ValueError: With the parameters that are open.
    """
    for parameter, values in own.items():
        name = parameter.removeprefix(_PREFIX)
        if not parameter.startswith(_PREFIX) or name not in OPEN:
            known = ", ".join(_PREFIX + one for one in OPEN)
            raise ValueError(f"transformers can be added to {known}, got {parameter!r}")
        taken = [value for value in values if value in _OURS[name]]
        if taken:
            raise ValueError(f"{parameter} has a choice {taken[0]!r} already; give yours another name")


def own_step(own: Transformers, name: str, value: str, context: Context) -> Any:
    """Return the user's fresh transformer for a value, or None where the value is one of ours."""
    make = own.get(_PREFIX + name, {}).get(value)
    return None if make is None else make(context)
