"""Scripts that run under a bundle's own Python, while it is built. They import nothing of cloudos."""
