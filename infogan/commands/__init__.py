"""One file a command of `infogan`. A file imports nothing but click until its command runs, so help is quick."""
