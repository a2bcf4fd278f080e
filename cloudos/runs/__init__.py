"""Runs of playbooks: plans on disk, locks, records, and starting one through ansible-runner."""
