"""Imperative workflows: compiled to a flow, run as one Ansible project, their runs kept in the state."""
