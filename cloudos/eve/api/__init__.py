"""The handlers of the REST interface."""
