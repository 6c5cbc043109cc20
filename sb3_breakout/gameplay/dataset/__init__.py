"""What is on the disk: written, checked, read back, verified, exported, shown."""
