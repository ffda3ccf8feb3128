"""HTTP: request bodies, content negotiation, GraphQL over HTTP, the GraphiQL page, health; no product logic."""
