import { CombinedGraphQLErrors, ServerError } from "@apollo/client";

/** An error, the id of its request, and the way out. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const [first] = CombinedGraphQLErrors.is(error) ? error.errors : [];
  const requestId = ServerError.is(error) ? error.response.headers.get("x-request-id") : first?.extensions?.requestId;
  const signedOut = first?.extensions?.code === "UNAUTHENTICATED";
  return (
    <div role="alert">
      <p>{signedOut ? "You are not signed in." : (first?.message ?? "The server could not be reached.")}</p>
      {signedOut && <a href="/auth/login?next=/">Sign in</a>}
      {!signedOut && retry && <button onClick={retry}>Try again</button>}
      {requestId ? <small>Request {String(requestId)}</small> : null}
    </div>
  );
}
