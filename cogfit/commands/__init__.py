"""The command line: one file per command of ``cogfit``.

This is the only code that knows ``theory``. Each file imports what is heavy inside its functions.
"""
