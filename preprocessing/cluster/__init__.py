"""The connected Ray: what it has, what it can get, what its nodes see, and the tasks that it is given."""
