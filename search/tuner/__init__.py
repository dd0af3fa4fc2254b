"""Ray lives here and nowhere else: the driver, the study actor, Tune's searcher and trainable."""
