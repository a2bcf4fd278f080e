"""The commands `cloudos graffiti ...`: those of jobs, and what the dictionary, the directory and binding put beside them."""

from __future__ import annotations

from cloudos.eden.commands import group
from cloudos.graffiti import cli_binding, cli_dictionary, cli_directory
from cloudos.graffiti.client import Graffiti

graffiti = group(Graffiti, "graffiti", "What clouds can do: dictionary, directory, binding.")
for part in (cli_dictionary, cli_directory, cli_binding):
    for name, one in part.commands.commands.items():
        graffiti.add_command(one, name)
