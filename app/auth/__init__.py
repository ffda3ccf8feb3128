"""Authentication: verifies bearer tokens and returns their claims. It makes no authorisation decisions."""
