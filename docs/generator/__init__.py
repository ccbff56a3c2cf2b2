"""Writes the reference from the typed settings, the docstrings and the commands when the site is built.

A page marks a place with `<!-- generate: NAME -->` and `<!-- end -->`; `pages.py` lists the names. Nothing generated is
committed.
"""
