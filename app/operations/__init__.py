"""Use cases, one verb a file. Each decides from a dossier what is to change; the frame locks, applies and commits."""
