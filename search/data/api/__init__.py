"""A public API, or the tables of a web page, pulled page by page into snapshots that never change."""
