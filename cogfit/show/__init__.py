"""How results look: tables, pictures and pages."""
