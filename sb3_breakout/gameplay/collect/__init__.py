"""Collecting the games of a dataset: on this machine, on a cluster, or during training."""
