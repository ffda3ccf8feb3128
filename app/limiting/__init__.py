"""Budgets: how much of what a user may use in a minute. Knows names, users and amounts, nothing of the product."""
