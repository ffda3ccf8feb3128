// What the page asks of the server. Every answer is JSON; anything else becomes an error in GraphQL's own form,
// because a proxy's HTML page is no use in a response pane.

/** The path under which a proxy serves the server; empty without one. */
export const PREFIX = location.pathname.replace(/\/graphiql\/?$/, "");

/**
 * {mode, signIn, people: [{role, name, email, token}], tabs: [{example, variables}], refusal}; all but the first may be
 * missing. `signIn` is whether people can sign in with the identity provider. When the server refuses tokens to this browser, `refusal` is the reason; the page then asks for a token.
 */
export async function configuration() {
  const response = await fetch(`${PREFIX}/graphiql/config.json`, { cache: "no-store" });
  if (response.status === 403) {
    const { errors } = await response.json().catch(() => ({}));
    return { mode: "production", refusal: errors?.[0]?.message };
  }
  if (!response.ok) throw new Error(`the server answered ${response.status} for its configuration`);
  return response.json();
}

/**
 * Sends one GraphQL request; never rejects. Headers given later win over earlier ones. Without an Authorization header,
 * the browser's session counts: the server refuses both together, and a session without the X-Turnup-CSRF header.
 */
export async function ask(params, ...headers) {
  const all = new Headers({
    accept: "application/graphql-response+json, application/json;q=0.9",
    "content-type": "application/json",
  });
  try {
    for (const some of headers) for (const [name, value] of Object.entries(some ?? {})) all.set(name, value);
  } catch (error) {
    return failure(`A request header is not one that can be sent. ${error.message}`);
  }
  const hasToken = all.has("authorization");
  if (!hasToken) all.set("x-turnup-csrf", "1");
  const credentials = hasToken ? "omit" : "same-origin";
  let response;
  try {
    response = await fetch(`${PREFIX}/graphql`, { method: "POST", credentials, headers: all, body: JSON.stringify(params) });
  } catch {
    return failure("The server could not be reached.");
  }
  try {
    return await response.json();
  } catch {
    return failure(`The server answered ${response.status} ${response.statusText}, and not in JSON.`);
  }
}

/** The user {id, name, role} of the browser's session; null without one, undefined when the server does not say. */
export async function sessionUser() {
  const result = await ask({ query: "query SessionUser { viewer { user { id } name role } }", operationName: "SessionUser" });
  if (isSignedOut(result)) return null;
  const viewer = result.data?.viewer;
  return viewer && { id: viewer.user.id, name: viewer.name, role: viewer.role };
}

/** Whether the server refused the token or the session itself; nothing was executed then. */
export function isSignedOut(result) {
  return result.errors?.some((error) => error.extensions?.code === "UNAUTHENTICATED") ?? false;
}

function failure(message) {
  return { errors: [{ message }] };
}
