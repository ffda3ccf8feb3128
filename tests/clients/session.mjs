// What the sessions of all clients share: the server, the warnings of libraries, and the report that the tests read.

import { format } from "node:util";

export const url = process.argv[2];

/** Whether the cache has the configuration of docs/clients: without the argument "bare". */
export const isConfigured = process.argv[3] !== "bare";

const { LEAD_TOKEN: leadToken, CUSTOMER_TOKEN: customerToken } = process.env;

/**
 * Who asks, whether responses are those of a later release, and whether they are wrong: with one id for two objects, which
 * a library that checks ids has to notice.
 */
export const server = { leadToken, customerToken, token: leadToken, isLater: false, isWrong: false };

/** The messages of the libraries, which print warnings. */
export const warnings = [];
for (const level of ["warn", "error"]) {
  console[level] = (...message) => warnings.push(format(...message));
}

/** Print what a session found, as JSON. */
export function report(found) {
  console.log(JSON.stringify(found));
}

/** Fetch as the signed-in user. */
export async function fetching(address, options) {
  const headers = new Headers(options.headers);
  headers.set("authorization", `Bearer ${server.token}`);
  const response = await fetch(address, { ...options, headers });
  return new Response(JSON.stringify(JSON.parse(await response.text(), changed)), response);
}

function changed(key, value) {
  if (server.isLater) return ofLaterRelease(key, value);
  return server.isWrong && key === "account" ? { ...value, id: "location-3" } : value;
}

/** Every status and every CONFLICT as a member and a type that this release does not have. */
function ofLaterRelease(key, value) {
  if (key === "status") return "ARCHIVED";
  if (value?.code !== "CONFLICT") return value;
  const { __typename, currentRevision, ...common } = value;
  return { __typename: "SeatLimitReached", ...common, code: "SEAT_LIMIT_REACHED" };
}

/** The parsed response to a document. */
export async function post(query, variables) {
  const headers = { "content-type": "application/json" };
  const response = await fetching(url, { method: "POST", headers, body: JSON.stringify({ query, variables }) });
  return response.json();
}
