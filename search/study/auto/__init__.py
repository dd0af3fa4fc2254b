"""The default search: one model of all learning curves decides which trial goes on, and which point is tried next."""
