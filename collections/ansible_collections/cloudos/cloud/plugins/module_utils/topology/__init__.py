"""What the modules that make a topology's resources share: the order of work, and the kinds of resources."""
