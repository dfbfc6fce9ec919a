"""How statements are tested: on streams, in recorded studies, in the ledger."""
