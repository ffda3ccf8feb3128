// Prints, as JSON, what graphql-http's audits of the server at the given address say. Who asks is in TURNUP_TOKEN.
//
//     TURNUP_TOKEN=... node audit.mjs http://127.0.0.1:8000/graphql

import { auditServer } from "graphql-http";

const authorization = `Bearer ${process.env.TURNUP_TOKEN}`;

function signedIn(url, options = {}) {
  const headers = new Headers(options.headers);
  headers.set("authorization", authorization);
  return fetch(url, { ...options, headers });
}

const results = await auditServer({ url: process.argv[2], fetchFn: signedIn });
console.log(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))));
