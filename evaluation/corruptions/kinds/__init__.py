"""The corruptions themselves: settings plus a call each, and the table of their published parameters."""
