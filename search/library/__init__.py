"""The shipped objectives and spaces, to build on: `from search.library.objectives.tabular import Tabular`."""

from pathlib import Path

# In a wheel they lie in this folder, in a checkout at its top.
if not (Path(__file__).parent / "objectives").is_dir():
    __path__ = [str(Path(__file__).resolve().parents[2])]
