"""How much of attention a linear probe foretells."""
