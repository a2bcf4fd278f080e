"""The one error of this package: its text names the thing and the next step."""


class BundleError(Exception):
    """A lock or a bundle cannot be made or trusted."""
