"""Releases and bundles: locks of a series, and the one immutable file made from a lock.

What belongs here: everything that happens on the admin host before a node sees a bundle. What a node does
with a bundle is the collection's module `cloudos.cloud.bundle`.
"""
