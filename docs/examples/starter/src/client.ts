import { ApolloClient, HttpLink, InMemoryCache } from "@apollo/client";
import { relayStylePagination } from "@apollo/client/utilities";

const errorPolicy = "all"; // a field that fails leaves the others

export const client = new ApolloClient({
  link: new HttpLink({ uri: "/graphql", headers: { "X-Turnup-CSRF": "1" } }),
  cache: new InMemoryCache({
    typePolicies: {
      Query: { fields: { locations: relayStylePagination() } },
      Location: { fields: { sections: { merge: false } } },
      Viewer: { merge: true },
    },
  }),
  defaultOptions: { watchQuery: { errorPolicy }, query: { errorPolicy }, mutate: { errorPolicy } },
});

declare module "@apollo/client" {
  namespace ApolloClient.DeclareDefaultOptions {
    interface WatchQuery { errorPolicy: "all" }
    interface Query { errorPolicy: "all" }
    interface Mutate { errorPolicy: "all" }
  }
}
