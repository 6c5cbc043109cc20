"""The dataset on disk: written, validated, loaded, verified, exported, displayed."""
