"""Statements, certificates and their verifiers."""
