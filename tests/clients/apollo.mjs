// A session of Apollo Client with the cache of docs/clients/apollo.md, as the user whose token is in LEAD_TOKEN.
//
//     LEAD_TOKEN=... node apollo.mjs http://127.0.0.1:8000/graphql [bare]

import { ApolloClient, ApolloLink, InMemoryCache } from "@apollo/client";
import { loadDevMessages, loadErrorMessages } from "@apollo/client/dev";
import { print } from "graphql";
import { filter, firstValueFrom, from } from "rxjs";

import { cache as configured, forgetRemovedDevice } from "./__generated__/apollo.mjs";
import { session } from "./documents.mjs";
import { isConfigured, post, report } from "./session.mjs";

loadDevMessages();
loadErrorMessages();

const cache = isConfigured ? configured : new InMemoryCache();
const link = new ApolloLink(({ query, variables }) => from(post(print(query), variables)));
const all = { errorPolicy: "all" };
const client = new ApolloClient({ cache, link, defaultOptions: { query: all, mutate: all, watchQuery: all } });

/** What a component shows that watches a list, after each page that it loads. */
async function* more(query, variables) {
  const watched = client.watchQuery({ query, variables });
  const subscription = watched.subscribe();
  const longerThan = (edges) => ({ loading, data }) => !loading && data.locations.edges.length > edges;
  const shown = (edges) => firstValueFrom(watched.pipe(filter(longerThan(edges))));
  let { data } = await shown(0);
  yield data;
  while (data.locations.pageInfo.hasNextPage) {
    const { edges, pageInfo } = data.locations;
    const next = shown(edges.length);
    await watched.fetchMore({ variables: { after: pageInfo.endCursor } });
    ({ data } = await next);
    yield data;
  }
  subscription.unsubscribe();
}

report(
  await session({
    more,
    query: (query, variables) => client.query({ query, variables, fetchPolicy: "network-only" }),
    mutate: (mutation, variables, optimisticResponse) =>
      client.mutate({ mutation, variables, optimisticResponse, update: forgetRemovedDevice }),
    read: (query, variables) => cache.readQuery({ query, variables }, true),
  }),
);
