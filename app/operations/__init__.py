"""Mutations, one verb per file: a command, a decision about a locked aggregate, and a declaration of both.

The unit of work locks, asks the decision, persists its change and commits.
"""
