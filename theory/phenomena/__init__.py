"""What each work says of its system, and what was found here."""
