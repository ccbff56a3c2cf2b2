"""`doctor`: can this machine, or every node of this cluster, do the work? One finding per check and node."""
