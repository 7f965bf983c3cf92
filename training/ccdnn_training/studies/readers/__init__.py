"""The reader study (sections 2.9 and 3.3): the table of unblinded scores and the agreement of readers."""
