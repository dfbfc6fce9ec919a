"""What the rows of the ledger measure, and the rules that judge.

One module for each part of the papers: a ``measure`` reads recorded data, a ``judge`` compares. Neither knows a number
that is not in ``data/published``, a certificate or a recording.
"""
