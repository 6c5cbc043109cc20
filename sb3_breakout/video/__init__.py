"""Games as videos."""
