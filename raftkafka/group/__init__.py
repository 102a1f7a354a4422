"""The group coordinator: classic consumer groups and committed offsets, replicated through `__consumer_offsets`."""
