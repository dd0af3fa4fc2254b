"""Predictions for images, a row for each, some hundreds at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Final

from search.bundle.model import Model
from search.bundle.signature import IMAGE, Kind
from search.serve.imagefiles import pictures
from search.serve.predictions import Done, prediction_columns, prediction_names, prediction_types, run_in_parts
from search.serve.writing import check_output, writing

FILE: Final = "file"
ROW: Final = "row"


def predict_images(
    model: Model,
    source: Path,
    target: Path,
    *,
    safe: bool = False,
    say: Callable[[str], None] = lambda _: None,
    seen: Callable[[int, float], None] = lambda _rows, _share: None,
) -> Done:
    """Predict every image of a folder or an `.npz` file, and write a row for each: `file`, then the predictions.

    Args:
        model: Takes images.
        source: As `imagefiles.pictures` takes it.
        target: Written under a temporary name until it is whole.
        safe: As in `writing`.
        say: Takes a sentence for people.
        seen: Takes the images that are done, and their share.

    Raises:
        InputError: There are no images, or some are damaged.
        SurroundingsError: Pillow is not installed, or the disk does not take the file.
    """
    import pyarrow as pa

    check_output(target, source)
    begun = time.perf_counter()
    shape = next(one.shape for one in model.signature.inputs if one.kind is Kind.IMAGE)
    names = [FILE if source.is_dir() else ROW, *prediction_names(model.signature)]
    schema = pa.schema(zip(names, [pa.string(), *prediction_types(model.signature)], strict=True))
    found = pictures(source, shape, say)
    first = next(found, None)  # so that a folder without images leaves no file
    count = 0
    with writing(target, schema, safe=safe) as sink:
        for some in chain([] if first is None else [first], found):
            predicted = run_in_parts(model, {IMAGE: some.pixels}, len(some.names))
            cells = [pa.array(some.names, pa.string()), *prediction_columns(predicted)]
            sink.add(pa.record_batch(cells, schema=schema))
            count += len(some.names)
            seen(count, some.share)
    return Done(count, time.perf_counter() - begun)
