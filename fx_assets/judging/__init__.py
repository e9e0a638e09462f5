"""Ideas of one's own, judged as candidates are: from a notebook, without declaring anything."""
