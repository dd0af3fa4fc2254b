"""An own data collection: rows taken over HTTP, kept in a log that loses nothing acknowledged, frozen as data."""
