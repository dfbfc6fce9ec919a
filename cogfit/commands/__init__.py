"""One file per command of ``cogfit``; each imports what is heavy inside its body."""
