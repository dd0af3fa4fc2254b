"""Time and weigh the figures of a study, ours beside Optuna's, and the whole page.

    python -m benchmarks.report [--trials 1000 10000] [--limit 120] [--large 100000]

A study of 8 parameters and 20 reports a trial is written to disk, with the tables that a sweep leaves beside its
journal, and read by both. Each figure is made in a process
of its own, which is ended at the limit; then headless Chromium draws it, by the same plotly.js for both. Optuna's
functions are called as documented, with their defaults.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.report_study import REPORTS, store

PAIRS: Mapping[str, str] = {
    "plot_optimization_history": "history",
    "plot_intermediate_values": "curves",
    "plot_parallel_coordinate": "parallel",
    "plot_slice": "slices",
    "plot_contour": "contour",
    "plot_param_importances": "importances",
    "plot_rank": "rank",
    "plot_edf": "distribution",
    "plot_timeline": "timeline",
}
"""Optuna's figure, and the key of ours that tells the same."""

SHORT_S = 5.0
HARNESS = """<!doctype html><meta charset="utf-8"><div id="plot"></div>
<script src="plotly.min.js"></script><script type="application/json" id="spec">SPEC</script>
<script>
const begun = performance.now();
const spec = JSON.parse(document.getElementById("spec").textContent);
Plotly.newPlot("plot", spec.data, spec.layout).then(() => requestAnimationFrame(() => setTimeout(() => {
  window.took = performance.now() - begun;
})));
</script>
"""
SCROLLED = """
async () => {
  let [longest, last] = [0, performance.now()];
  const end = document.documentElement.scrollHeight;
  scrollTo(0, 0);
  for (let y = 0; y < end; y += 60) {
    scrollTo(0, y);
    await new Promise((seen) => requestAnimationFrame(seen));
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }
  return longest;
}
"""
ALL_DRAWN = """
() => [...document.querySelectorAll("figure .plot")]
  .every((one) => one.hidden || one.closest("[hidden]") || one.querySelector(".main-svg"))
"""
DRAWN = """() => [...document.querySelectorAll("figure .plot")].some((one) => one.querySelector(".main-svg"))"""


class Made(NamedTuple):
    """A figure: what it took, and where its JSON lies; without a file it was cut off."""

    seconds: float
    file: Path | None
    error: str = ""


# --- in a child process ---


def ours(folder: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    """Read the study as the report does, and yield a maker of each figure's JSON."""
    from search.paths import StudyFolder
    from search.records.history import History
    from search.records.study import read
    from search.report.catalogue import PLOTS
    from search.report.plot import Plot

    history = History.of(read(StudyFolder(folder)))

    def maker(plot: Plot) -> Callable[[], str]:
        def make() -> str:
            info = plot.info(history)
            return "" if plot.words(info).empty else str(plot.figure(info).to_json())

        return make

    for plot in PLOTS:
        yield plot.key, maker(plot)


def optunas(folder: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    """Load the study as Optuna does, and yield a maker of each figure's JSON."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    study = optuna.load_study(study_name=folder.name, storage=storage)
    trials = study.trials

    def maker(name: str) -> Callable[[], str]:
        return lambda: str(getattr(optuna.visualization, name)(study).to_json())

    assert trials
    for name in PAIRS:
        yield name, maker(name)


def arm(name: str, folder: Path, out: Path, limit_s: float) -> None:
    """Make an arm's figures, each in a fork that is ended at the limit; print what each took as a line of JSON."""
    begun = time.perf_counter()
    makers = [*(ours if name == "ours" else optunas)(folder)]
    print(json.dumps({"key": "", "seconds": time.perf_counter() - begun}), flush=True)
    _warm_up()
    for key, make in makers:
        file = out / f"{key}.json"
        process = multiprocessing.get_context("fork").Process(target=_make, args=(make, file))
        begun = time.perf_counter()
        process.start()
        process.join(limit_s)
        if process.is_alive():
            process.kill()
            process.join()
            file.unlink(missing_ok=True)
        told = file.with_suffix(".took")
        took = float(told.read_text()) if told.exists() else time.perf_counter() - begun
        print(json.dumps({"key": key, "seconds": took, "code": process.exitcode}), flush=True)


def _warm_up() -> None:
    """Let plotly import what it imports at its first figure."""
    import plotly.graph_objects as go

    go.Figure([go.Scatter(x=[1], y=[1]), go.Bar(x=[1], y=[1])], {"title": {"text": "warm"}}).to_json()


def _make(make: Callable[[], str], file: Path) -> None:
    begun = time.perf_counter()
    text = make()
    took = time.perf_counter() - begun
    file.write_text(text, encoding="utf-8")
    file.with_suffix(".took").write_text(str(took))


def whole(folder: Path, file: Path) -> None:
    """Write the page, as `sweep report` does; print seconds and the peak memory."""
    begun = time.perf_counter()
    from search.paths import StudyFolder
    from search.records.history import History
    from search.records.study import read
    from search.report import page

    history = History.of(read(StudyFolder(folder)))
    reading = time.perf_counter() - begun
    file.write_text(page.html(page.payload(history)), encoding="utf-8")
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {"seconds": time.perf_counter() - begun, "reading": reading, "peak_mb": used.ru_maxrss / 1024}
    print(json.dumps(told | {"cpu_s": used.ru_utime + used.ru_stime}))


# --- the parent ---


def child(*arguments: str, limit_s: float | None = None) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks.report", *arguments]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=limit_s)
    return [json.loads(line) for line in told.stdout.splitlines()]


def made(name: str, folder: Path, out: Path, limit_s: float) -> dict[str, Made]:
    out.mkdir()
    found = {}
    for told in child("--arm", name, str(folder), str(out), "--limit", str(limit_s)):
        file = out / f"{told['key']}.json"
        error = "" if told.get("code") in (0, None, -9) else "fails"
        found[told["key"]] = Made(told["seconds"], file if file.exists() and file.stat().st_size else None, error)
    return found


def drawn_s(file: Path, limit_s: float) -> float:
    """Return the seconds in which plotly.js draws a figure, at most the limit; of short times the best of three."""
    library = file.parent / "plotly.min.js"
    if not library.exists():
        import plotly

        shutil.copy(Path(plotly.__file__).parent / "package_data" / "plotly.min.js", library)
    page_file = file.with_suffix(".html")
    page_file.write_text(HARNESS.replace("SPEC", file.read_text(encoding="utf-8").replace("<", "\\u003c")))
    try:
        (told,) = child("--draw", str(page_file), limit_s=limit_s)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):  # out of time, or the browser out of memory
        return limit_s
    return float(told["seconds"])


def draw(page_file: Path) -> None:
    """Draw a figure in a browser of its own, which ends with this process; print the seconds."""
    from tests.browser import looking

    took: list[float] = []
    with looking.browser(_program()) as browser:
        while not took or (len(took) < 3 and took[-1] < SHORT_S):
            page = browser.new_page(viewport={"width": 1200, "height": 800})
            page.goto(page_file.as_uri(), timeout=0, wait_until="commit")
            page.wait_for_function("window.took", timeout=0)
            took.append(float(page.evaluate("window.took")) / 1000)
            page.close()
    print(json.dumps({"seconds": min(took)}))


class Opened(NamedTuple):
    """A page in the browser.

    Attributes:
        first_s: From opening it until its first figure is drawn.
        all_s: Until all are, scrolled to.
        pause_ms: The longest time between two frames while it is scrolled through again.
    """

    first_s: float
    all_s: float
    pause_ms: float


def opened(browser: Any, file: Path) -> Opened:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    begun = time.perf_counter()
    page.goto(file.as_uri(), wait_until="commit")
    page.wait_for_function(DRAWN, timeout=120_000, polling=20)
    first_s = time.perf_counter() - begun
    page.evaluate(SCROLLED)
    page.wait_for_function(ALL_DRAWN, timeout=120_000, polling=20)
    all_s = time.perf_counter() - begun
    pause_ms = float(page.evaluate(SCROLLED))
    page.close()
    return Opened(first_s, all_s, pause_ms)


def compare(place: Path, trials: int, limit_s: float) -> None:
    folder = stored(place, trials)
    mine, theirs = (made(name, folder, place / f"{name}{trials}", limit_s) for name in ("ours", "optuna"))
    print(f"\n**{trials:,} trials x {REPORTS} reports**\n")
    print("| figure | s, ours | Optuna | ratio | MB, ours | Optuna | ratio | s to draw, ours | Optuna | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    reading = mine.pop("").seconds, theirs.pop("").seconds
    print(f"| reading the study | {reading[0]:.2f} | {reading[1]:.2f} | {_ratio(*reading)} | | | | | | |")
    names = {key: name for name, key in PAIRS.items()}
    for key, own in mine.items():
        other = theirs.get(names.get(key, ""))
        cells = [_seconds(own, limit_s), _seconds(other, limit_s)]
        cells.append(_ratio(own.seconds, other and other.seconds, cut=other is not None and other.file is None))
        sizes = _mb(own), _mb(other)
        cells += [_cell(sizes[0]), _cell(sizes[1]), _ratio(*sizes)]
        drawn = _drawn(own, limit_s), _drawn(other, limit_s)
        cells += [_cell(took) if took != limit_s else f"over {limit_s:.0f}" for took in drawn]
        cells.append(_ratio(*drawn, cut=drawn[1] == limit_s))
        print(f"| {key} | {' | '.join(cells)} |", flush=True)


def stored(place: Path, trials: int) -> Path:
    """Return the folder of a study, written once."""
    folder = place / f"t{trials}"
    if not folder.exists():
        store(place, folder.name, trials)
        subprocess.run([sys.executable, "-m", "search.records.derived", str(folder)], check=True)
    return folder


def pages(browser: Any, place: Path, counts: list[int]) -> None:
    print("\n**The whole page**\n")
    heads = ("trials", "s to write", "of these reading", "s of CPU time", "MB", "peak memory, MB", "s to first figure")
    print(f"| {' | '.join(heads)} | s to all | longest pause of a second scroll, ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    for trials in counts:
        file = place / f"page{trials}.html"
        (told,) = child("--whole", str(stored(place, trials)), str(file))
        cells = [told["seconds"], told["reading"], told["cpu_s"], file.stat().st_size / 1e6, told["peak_mb"]]
        cells += [*opened(browser, file)]
        print(f"| {trials:,} | {' | '.join(_cell(cell) for cell in cells)} |", flush=True)


def _drawn(one: Made | None, limit_s: float) -> float | None:
    return None if one is None or one.file is None else drawn_s(one.file, limit_s)


def _program() -> str:
    from tests.browser import looking

    program = looking.chromium()
    if program is None:
        raise SystemExit("Chromium is missing (package chromium)")
    return program


def _seconds(one: Made | None, limit_s: float) -> str:
    if one is None:
        return ""
    if one.error:
        return one.error
    return _cell(one.seconds) if one.file else f"over {limit_s:.0f}" if one.seconds >= limit_s else "empty"


def _mb(one: Made | None) -> float | None:
    return one.file.stat().st_size / 1e6 if one is not None and one.file is not None else None


def _ratio(mine: float | None, theirs: float | None, *, cut: bool = False) -> str:
    return f"{'over ' * cut}{theirs / mine:.1f}" if mine and theirs else ""


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="*", default=[1_000, 10_000], help="compared with Optuna")
    parser.add_argument("--large", type=int, default=100_000, help="trials of a page without comparison; 0 for none")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds of one figure")
    parser.add_argument("--arm", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--whole", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--draw", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.arm:
        arm(given.arm[0], Path(given.arm[1]), Path(given.arm[2]), given.limit)
        return
    if given.whole:
        whole(Path(given.whole[0]), Path(given.whole[1]))
        return
    if given.draw:
        draw(Path(given.draw))
        return
    from tests.browser import looking

    program = _program()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        for trials in given.trials:
            compare(place, trials, given.limit)
        with looking.browser(program) as browser:
            pages(browser, place, [*given.trials, *([given.large] if given.large else [])])


if __name__ == "__main__":
    main()
