"""The gradient of several workers against that of one, by the kind of batch normalisation."""
