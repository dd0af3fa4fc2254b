"""Optuna lives here and nowhere else: the study's one owner, its storage, samplers, pruners and budget."""
