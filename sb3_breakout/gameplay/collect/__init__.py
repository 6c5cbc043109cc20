"""Who plays the games of a dataset, and where."""
