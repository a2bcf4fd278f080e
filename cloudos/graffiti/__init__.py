"""Graffiti: the dictionary of what resources can do, the directory of resources, and binding of requirements to them.

Pure rules (values, conditions, schemas, types, joint feasibility) know no database; `models.py` holds the tables, `routes.py` the
HTTP interface. docs/reference/graffiti.md describes all of it.
"""
