"""From what people wrote to what a cloud must be: reads the data files, checks them, compiles the plan.

Pure: knows neither Ansible nor HTTP, and does no I/O beyond reading those files. `docs/reference/data.md` describes
the files and the plan.
"""
