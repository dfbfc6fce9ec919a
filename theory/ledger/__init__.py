"""The papers beside what was measured here."""
