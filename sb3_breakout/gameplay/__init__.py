"""What is kept of the game: recordings, datasets, videos."""
