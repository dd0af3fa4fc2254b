"""Tables asked of a database: one read-only query, kept as one Parquet file."""
