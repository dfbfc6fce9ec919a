"""A real language model: redundancy, copy heads, policies, a curve in context."""
