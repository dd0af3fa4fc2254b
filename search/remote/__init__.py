"""Studies in an object store, by the URLs that fsspec knows."""
