"""The record that a command's driver keeps in MLflow: its place, its content, and how it follows what is stored."""
