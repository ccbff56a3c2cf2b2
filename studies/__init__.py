"""Studies: whole comparisons of training methods and of attacks, as a paper would report them."""
