// What the sessions with trusted documents share: the servers, a record of the requests, and the steps.

import { report, server } from "./session.mjs";

/** The addresses of the servers by mode, from arguments such as only=http://127.0.0.1:8000/graphql. */
const addresses = Object.fromEntries(process.argv.slice(2).map((argument) => argument.split("=")));

const requests = [];

/** Fetch as the lead, and record what named the document and how the server answered. */
export async function recording(address, options) {
  const headers = new Headers(options.headers);
  headers.set("authorization", `Bearer ${server.leadToken}`);
  const { method = "GET" } = options;
  const { searchParams } = new URL(address);
  const { query, documentId, extensions } = method === "GET" ? Object.fromEntries(searchParams) : JSON.parse(options.body);
  const persisted = typeof extensions === "string" ? JSON.parse(extensions).persistedQuery : extensions?.persistedQuery;
  const named = [documentId || persisted ? "hash" : [], query ? "text" : []].flat().join(" and ");
  const response = await fetch(address, { ...options, headers });
  const { errors } = await response.clone().json();
  requests.push(`${method} ${named}: ${errors?.[0].extensions.code ?? response.status}`);
  return response;
}

/**
 * Read and edit through documents of the manifest, and ask with another one, at a server of each mode. `connect` returns
 * the functions of a new client of the server at an address. Report the requests of each step, and what they returned.
 */
export async function steps(connect) {
  const found = {};
  for (const [mode, address] of Object.entries(addresses)) {
    const { read, edit, unlisted } = connect(address);
    const taken = [];
    const step = async (result) => {
      const returned = await result;
      taken.push(requests.splice(0));
      return returned;
    };
    const location = await step(read({ id: "location-7" }));
    const { revision } = location.sections.find(({ section }) => section === "LOCATION");
    const input = { locationId: "location-7", expectedRevision: revision, siteCode: mode };
    const edited = await step(edit({ input }));
    const role = await step(unlisted());
    const again = await step(read({ id: "location-7" }));
    found[mode] = { requests: taken, codes: [edited.siteCode, again.siteCode], role };
  }
  report(found);
}
