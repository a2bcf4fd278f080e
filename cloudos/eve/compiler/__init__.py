"""From a template to a graph of resources and operations: files only, nothing is asked and nothing is made."""
