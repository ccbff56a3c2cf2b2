"""Certificates -> a report, its page and its pictures."""
