// Apollo Client with trusted documents: with hashes that are those of the manifest that Apollo's tool wrote.
//
//     LEAD_TOKEN=... node apolloTrusted.mjs off=http://127.0.0.1:8000/graphql only=...

import { ApolloClient, DocumentTransform, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { generatePersistedQueryIdsAtRuntime, sortTopLevelDefinitions } from "@apollo/persisted-query-lists";
import { createHash } from "node:crypto";

import code from "./trusted/code.graphql";
import edit from "./trusted/edit.graphql";
import location from "./trusted/location.graphql";
import { recording, steps } from "./trusted.mjs";

const LOCATION = gql(code + location);
const EDIT = gql(code + edit);
const UNLISTED = gql`
  query Unlisted {
    viewer {
      role
    }
  }
`;

const sha256 = (text) => createHash("sha256").update(text).digest("hex");

function connect(uri) {
  const persisted = new PersistedQueryLink(generatePersistedQueryIdsAtRuntime({ sha256 }));
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: persisted.concat(new HttpLink({ uri, fetch: recording })),
    // The ids are those of documents whose operation comes first. A text that is sent with its id must be the same.
    documentTransform: new DocumentTransform(sortTopLevelDefinitions),
  });
  const query = async (document, variables) =>
    (await client.query({ query: document, variables, fetchPolicy: "network-only", errorPolicy: "all" })).data;
  return {
    read: async (variables) => (await query(LOCATION, variables)).location,
    edit: async (variables) => (await client.mutate({ mutation: EDIT, variables })).data.updateLocation.location,
    unlisted: async () => (await query(UNLISTED))?.viewer.role ?? null,
  };
}

await steps(connect);
