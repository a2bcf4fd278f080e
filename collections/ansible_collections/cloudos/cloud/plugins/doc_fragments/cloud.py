"""Documentation of the modules that talk to a cloud's APIs."""


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  cloud:
    description:
      - How to log in, either the name of a cloud in F(clouds.yaml), or a mapping of C(auth_url), C(username) (default
        admin), C(password),
        C(project) (default admin), C(domain) (default Default), C(region) and C(cafile).
    type: raw
    required: true
"""
