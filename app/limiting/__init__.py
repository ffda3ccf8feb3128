"""Budgets: how much of a resource a user can use per minute. This package knows names, users and amounts only."""
