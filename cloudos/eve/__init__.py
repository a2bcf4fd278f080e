"""Eve: from a TOSCA template to running infrastructure. So far: its front end on the command line."""
