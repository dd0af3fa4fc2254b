"""Search spaces that were written for other tools, as Python spaces of ours."""
