"""What people already have, as objectives of ours: Optuna objectives, scikit-learn estimators, Ray Tune trainables."""
