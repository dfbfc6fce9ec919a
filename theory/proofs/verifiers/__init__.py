"""Verifiers of certificates, one file per family of kinds.

None of them uses code that makes certificates.

Registered in :data:`theory.proofs.certificates.KINDS`; each is a function ``verify(document) -> Check``.
"""
