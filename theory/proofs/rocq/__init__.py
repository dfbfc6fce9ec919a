"""Proofs that the kernel of a proof assistant checks.

The files ``*.v`` are written for Rocq (Coq) 8.16 with the libraries ssreflect and algebra of Mathematical Components;
``make proofs`` compiles them. :mod:`~theory.proofs.rocq.statements` says which sentence of which theorem each covers,
:mod:`~theory.proofs.rocq.record` what was checked and where, :mod:`~theory.proofs.rocq.export` turns certificates into
files that the same kernel checks again.
"""
