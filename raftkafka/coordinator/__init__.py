"""The runtime of a replicated state machine whose log is a partition of an internal topic."""
