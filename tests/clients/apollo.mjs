// A session of Apollo Client with the cache of docs/clients/apollo.md, as the user whose token is in LEAD_TOKEN.
//
//     LEAD_TOKEN=... node apollo.mjs http://127.0.0.1:8000/graphql [bare]

import { ApolloClient, ApolloLink, InMemoryCache } from "@apollo/client";
import { loadDevMessages, loadErrorMessages } from "@apollo/client/dev";
import { print } from "graphql";
import { from } from "rxjs";

import { cache as configured, forgetRemovedDevice } from "./__generated__/apollo.mjs";
import { session } from "./documents.mjs";
import { isConfigured, post, report } from "./session.mjs";

loadDevMessages();
loadErrorMessages();

const cache = isConfigured ? configured : new InMemoryCache();
const link = new ApolloLink(({ query, variables }) => from(post(print(query), variables)));
const all = { errorPolicy: "all" };
const client = new ApolloClient({ cache, link, defaultOptions: { query: all, mutate: all, watchQuery: all } });

report(
  await session({
    query: (query, variables) => client.query({ query, variables, fetchPolicy: "network-only" }),
    mutate: (mutation, variables) => client.mutate({ mutation, variables, update: forgetRemovedDevice }),
    read: (query, variables) => cache.readQuery({ query, variables }),
  }),
);
