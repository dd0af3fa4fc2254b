"""Figures alone, as files: each one's plotly JSON, its data as CSV and, where a renderer is installed, a PNG."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from search.errors import SurroundingsError
from search.output import write_output
from search.records import tables
from search.records.history import History
from search.report.catalogue import PLOTS, alone

if TYPE_CHECKING:
    import plotly.graph_objects as go

_PICTURE: Final = {"format": "png", "width": 1000, "scale": 2}
_PATIENCE_S: Final = 60.0
"""How long one picture may take."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        files: By the key of a figure; a figure without data has none.
        no_pictures: Why there is no PNG, as a sentence; "" if there are.
    """

    files: Mapping[str, tuple[Path, ...]]
    no_pictures: str


def export(study: History, folder: Path) -> Exported:
    """Write every figure that has something to show as `KEY.json`, `KEY.csv` and `KEY.png`; of others none is left.

    It draws pictures in an event loop of its own: it cannot be called where one runs.

    Args:
        study: As read by `History.of`.
        folder: Where to; made if it is not there.

    Raises:
        SurroundingsError: A file cannot be written.
    """
    import pandas as pd

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SurroundingsError(f"{folder} cannot be made: {error.strerror}", field="--figures") from error
    figures: dict[str, go.Figure] = {}
    files: dict[str, tuple[Path, ...]] = {}
    for plot in PLOTS:
        info = plot.info(study)
        if plot.words(info).empty:
            continue
        figures[plot.key] = alone(plot, info)
        files[plot.key] = (folder / f"{plot.key}.json", folder / f"{plot.key}.csv")
        write_output(files[plot.key][0], figures[plot.key].to_json() + "\n", field="--figures")
        tables.write(pd.DataFrame({name: [*values] for name, values in plot.data(info).items()}), files[plot.key][1])
    pictures, missing = _pictures(figures)
    for key, content in pictures.items():
        write_output(folder / f"{key}.png", content, field="--figures")
        files[key] = (*files[key], folder / f"{key}.png")
    _remove_others(folder, files)
    return Exported(files, missing)


def _remove_others(folder: Path, files: Mapping[str, tuple[Path, ...]]) -> None:
    """Remove what an earlier export left of figures, or of their pictures, that this one does not have."""
    for plot in PLOTS:
        for suffix in (".json", ".csv", ".png"):
            path = folder / f"{plot.key}{suffix}"
            if path in files.get(plot.key, ()):
                continue
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                said = f"{path} is of another export, and cannot be removed: {error.strerror}"
                raise SurroundingsError(said, field="--figures") from error


def _pictures(figures: Mapping[str, go.Figure]) -> tuple[dict[str, bytes], str]:
    """Return figures as PNG, and why there are none."""
    if not figures:
        return {}, ""
    try:
        from kaleido import errors
    except ImportError:
        return {}, "no PNG: `pip install 'sweep-search[png]'` adds what draws them"
    try:
        return asyncio.run(_drawn(figures)), ""
    except errors.ChromeNotFoundError:
        named = os.environ.get("BROWSER_PATH")
        if named:
            return {}, f"no PNG: BROWSER_PATH names {named}, where there is no program"
        return {}, "no PNG: they need Chrome or Chromium; install one, or name its program in BROWSER_PATH"
    except (errors.BrowserFailedError, errors.BrowserClosedError, errors.KaleidoError, TimeoutError) as error:
        said = str(error.args[0]) if error.args else type(error).__name__
        return {}, f"no PNG: the browser that draws them failed: {said.splitlines()[0]}"


async def _drawn(figures: Mapping[str, go.Figure]) -> dict[str, bytes]:
    import kaleido

    # without MathJax, which it would ask the network for
    async with kaleido.Kaleido(timeout=_PATIENCE_S, mathjax=False) as browser:
        return {
            key: await browser.calc_fig(figure, {**_PICTURE, "height": figure.layout.height or 340})
            for key, figure in figures.items()
        }
