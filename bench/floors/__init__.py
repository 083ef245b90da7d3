"""What is measured beside our server: the least that Django, and the least that any Python server, could do."""
