"""Agents play the games of a dataset: here, on a cluster, or during training."""
