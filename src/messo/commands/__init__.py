"""The commands of the program `messo`, a file for each kind of person who gives them."""
