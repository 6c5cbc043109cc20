"""Recording games as videos."""
