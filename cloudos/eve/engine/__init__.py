"""From a graph to running infrastructure: the plan against the state, its Ansible project, and what its events tell."""
