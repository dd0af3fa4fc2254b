"""A study as records and tables, derived from its storage step by step."""
