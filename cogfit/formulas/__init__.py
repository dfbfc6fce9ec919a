"""The forms: formula, parameters, derivatives, registry."""
