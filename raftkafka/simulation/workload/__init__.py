"""What the clients of a world do: producers, consumers with and without groups, and an administrator, each a task in virtual time."""
