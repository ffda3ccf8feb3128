// What a page of another origin does that uses Apollo Client, which names itself and its version in header fields.

import { ApolloClient, gql, HttpLink, InMemoryCache } from "@apollo/client";

const VIEWER = gql`
  query Viewer {
    viewer {
      name
    }
  }
`;

/** Return the viewer's name or the error, and the ids of the requests that the page could read. */
export async function ask(uri, token) {
  const requestIds = [];
  const recording = async (...request) => {
    const response = await fetch(...request);
    requestIds.push(response.headers.get("x-request-id"));
    return response;
  };
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    clientAwareness: { name: "storefront", version: "1.4.0" },
    link: new HttpLink({ uri, headers: { authorization: `Bearer ${token}` }, fetch: recording }),
  });
  const { data, error } = await client.query({ query: VIEWER, errorPolicy: "all" });
  return { name: data?.viewer.name ?? null, error: error?.message ?? null, requestIds };
}
