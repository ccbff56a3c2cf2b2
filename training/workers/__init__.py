"""The processes that train together: what they are, where they run, and what is said of those that are lost."""
