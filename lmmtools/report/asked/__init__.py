"""What is asked for: the study file, or a request on the command line, read, checked and spread out into runs."""
