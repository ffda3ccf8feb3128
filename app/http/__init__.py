"""HTTP: bodies, negotiation, GraphQL over HTTP, the GraphiQL page, health. Knows nothing of the product."""
