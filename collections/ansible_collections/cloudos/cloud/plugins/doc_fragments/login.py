"""Documentation of the modules that log in to a cloud by themselves."""


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  cloud:
    description:
      - How to log in, a mapping of C(auth_url), C(username) (default admin), C(password), C(project) (default admin),
        C(domain) (default Default), C(region) and C(cafile).
    type: dict
    required: true
"""
