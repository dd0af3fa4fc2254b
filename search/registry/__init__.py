"""Which versions of a model there are, which of them is in production, and what was before: `results/models/`."""
