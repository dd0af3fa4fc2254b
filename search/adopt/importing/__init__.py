"""Trials that other tools recorded, as studies of ours."""
