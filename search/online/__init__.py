"""Models that keep learning from live data: a log of events, and what is learnt and decided by reading it."""
