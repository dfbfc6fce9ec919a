"""How results look: pictures and pages."""
