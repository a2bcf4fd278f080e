"""Eve: compiles TOSCA topologies to one Ansible project and runs it."""
