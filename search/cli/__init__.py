"""The command line: one file per group of commands; `console.py` owns all output."""
