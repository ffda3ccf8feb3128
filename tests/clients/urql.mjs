// A session of urql with the cache of docs/clients/urql.md, as the user whose token is in LEAD_TOKEN.
//
//     LEAD_TOKEN=... node urql.mjs http://127.0.0.1:8000/graphql [bare]

import { Client, fetchExchange } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";

import { cache } from "./__generated__/urql.mjs";
import { session } from "./documents.mjs";
import { fetching, isConfigured, report, url } from "./session.mjs";

const exchanges = [isConfigured ? cache : cacheExchange(), fetchExchange];
const client = new Client({ url, fetch: fetching, exchanges, preferGetMethod: false });

/** What a component shows that has a list, after each page that it loads. */
async function* more(query, variables) {
  for (let after = null, hasNextPage = true; hasNextPage; ) {
    const { data } = await client.query(query, { ...variables, after }).toPromise();
    ({ endCursor: after, hasNextPage } = data.locations.pageInfo);
    yield data;
  }
}

report(
  await session({
    more,
    query: (query, variables) => client.query(query, variables, { requestPolicy: "network-only" }).toPromise(),
    mutate: (mutation, variables) => client.mutation(mutation, variables).toPromise(),
    read: (query, variables) => client.readQuery(query, variables, { requestPolicy: "cache-only" })?.data ?? null,
  }),
);
