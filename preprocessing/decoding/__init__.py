"""One video file -> the frames and the waveform of its clip, decoded by a supervised child process."""
