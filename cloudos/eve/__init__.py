"""Eve: compiles TOSCA templates to one Ansible project and runs it, so that they become running infrastructure."""
