"""Settings: from a YAML file and `key=value` words to a checked config, its problems and its help."""
