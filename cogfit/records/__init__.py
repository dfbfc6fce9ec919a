"""What all records share: documents, and sentences that know their numbers."""
