"""E-mail: copies of messages, who may get one, and addresses that do not exist any more."""
