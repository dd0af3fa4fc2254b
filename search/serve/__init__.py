"""A promoted model at work: a web API, batches of rows, a phone."""
