"""Reports to people: the shell of every HTML page, and lines about the progress of long work."""
