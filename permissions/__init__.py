"""Who may do what: the matrix, and the classes that put it on the fields of the schema."""
