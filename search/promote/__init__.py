"""From a finished study to a model that others use: confirmed, tested once, gated, packed and registered."""
