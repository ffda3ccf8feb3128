"""What clients see: types, inputs, enums, problems, queries and mutations. Declarations only."""
