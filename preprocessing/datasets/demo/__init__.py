"""The demo data set: real MP4 files of drawn performers who play synthesised music, made on the spot."""
