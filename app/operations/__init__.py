"""Mutations, one per file: a command, a decision about a locked aggregate, and a declaration of both.

The unit of work locks the aggregate, calls the decision, persists the change and commits.
"""
