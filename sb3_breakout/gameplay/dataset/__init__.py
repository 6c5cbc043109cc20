"""The dataset on disk: writing, validation, loading, verification, export and display."""
