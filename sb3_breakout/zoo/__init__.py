"""RL Zoo integration: registration, default hyperparameters, search space, checks, progress, ``record_video``."""
