// urql with trusted documents: with the hashes that graphql-codegen wrote.
//
//     LEAD_TOKEN=... node urqlTrusted.mjs off=http://127.0.0.1:8000/graphql only=...

import { cacheExchange, Client, fetchExchange, gql } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import { createHash } from "node:crypto";

import { TrustedEditDocument, TrustedLocationDocument } from "./__generated__/codegen/graphql.ts";
import { recording, steps } from "./trusted.mjs";

const UNLISTED = gql`
  query Unlisted {
    viewer {
      role
    }
  }
`;

/** The hash of the manifest, or that of the text, with which the exchange falls back. */
const generateHash = async (text, document) =>
  document.__meta__?.hash ?? createHash("sha256").update(text).digest("hex");

function connect(url) {
  const client = new Client({
    url,
    fetch: recording,
    exchanges: [cacheExchange, persistedExchange({ enableForMutation: true, generateHash }), fetchExchange],
  });
  const query = async (document, variables) =>
    (await client.query(document, variables, { requestPolicy: "network-only" }).toPromise()).data;
  return {
    read: async (variables) => (await query(TrustedLocationDocument, variables)).location,
    edit: async (variables) =>
      (await client.mutation(TrustedEditDocument, variables).toPromise()).data.updateLocation.location,
    unlisted: async () => (await query(UNLISTED, {}))?.viewer.role ?? null,
  };
}

await steps(connect);
