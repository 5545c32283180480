"""The table of rules, by subject: each primitive's forward with its vector-Jacobian product beside it."""
