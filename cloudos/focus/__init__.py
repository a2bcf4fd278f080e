"""Focus, the repository of topology documents."""
