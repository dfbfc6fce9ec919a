"""How much of attention a linear probe predicts."""
