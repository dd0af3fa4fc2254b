"""One figure a module: its Info, and how it is drawn."""
