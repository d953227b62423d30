"""The conversational ranker: which messages of a path bear on what is being said, from numbers alone."""
