// The page: a bar with the brand, who is signed in and the keys; below it GraphiQL with a line that says in words
// how the last request ended.
import { useGraphiQL } from "@graphiql/react";
import { GraphiQL } from "graphiql";
import { useCallback, useEffect, useMemo, useState } from "react";

import { PREFIX, ask, configuration, isSignedOut, sessionUser } from "./api.js";
import { exampleTabs } from "./examples.js";
import { refusals } from "./outcome.js";
import { KEYS, Shortcuts } from "./shortcuts.jsx";
import { forgetTabs, storage } from "./storage.js";

const SIGN_IN = `${PREFIX}/auth/login?next=/graphiql`;
const SIGN_OUT = `${PREFIX}/auth/logout`;
const SIGNED_IN = "turnup:signed-in"; // an email, for this browser tab; never a token

export function Page({ config, user }) {
  const people = config.people ?? [];
  const [email, setEmail] = useState(() => sessionStorage.getItem(SIGNED_IN));
  const person = people.find((one) => one.email === email) ?? people[0];
  const [pasted, setPasted] = useState(null);
  const [session, renewSession] = useSession(user, config.signIn);
  // A new fetcher makes GraphiQL fetch the schema again, as the new person sees it.
  const fetcher = useMemo(
    () => (person ? as(person) : pasted ? withToken(pasted) : withSession(renewSession)),
    [person, pasted, session.user?.id, renewSession],
  );

  const signIn = (chosen) => {
    sessionStorage.setItem(SIGNED_IN, chosen);
    setEmail(chosen);
  };

  return (
    <>
      <header className="bar">
        <h1>Turnup</h1>
        {person ? <RoleSwitch people={people} person={person} onChoose={signIn} />
          : pasted ? <p className="hint">Your token goes with every request from this page, until you reload it.</p>
          : config.signIn ? <Session {...session} />
          : <p className="hint">{config.refusal} <HowToPaste /></p>}
        <span className="bar-end">
          <button type="button" onClick={openExamples}>Examples</button>
          <button type="button" popoverTarget="keys">Keys</button>
        </span>
        <Keys />
      </header>
      <GraphiQL
        fetcher={fetcher}
        storage={storage}
        shouldPersistHeaders={false}
        defaultTabs={exampleTabs(config.tabs)}
        defaultQuery=""
        defaultEditorToolsVisibility={person || config.signIn ? "variables" : "headers"}
        onEditHeaders={person ? undefined : laterOn((text) => setPasted((before) => authorizationIn(text) ?? before))}
        inputValueDeprecation
      >
        <GraphiQL.Logo>{" "}</GraphiQL.Logo>
        <GraphiQL.Footer>
          <Outcome />
        </GraphiQL.Footer>
        <Shortcuts />
      </GraphiQL>
    </>
  );
}

function RoleSwitch({ people, person, onChoose }) {
  return (
    <label className="role">
      Signed in as
      <select id="role" aria-keyshortcuts="Alt+R" value={person.email} onChange={(event) => onChoose(event.target.value)}>
        {people.map(({ role, name, email }) => (
          <option key={email} value={email}>{`${words(role)}: ${name}`}</option>
        ))}
      </select>
    </label>
  );
}

/** Who is signed in with the identity provider, and the way in or out. */
function Session({ user, hasEnded }) {
  if (!user) return <p className="hint"><a className="button" href={SIGN_IN}>Sign in</a> <HowToPaste start="or paste" /></p>;
  if (hasEnded) {
    return (
      <p className="hint ended" role="alert">
        The session of {user.name} has ended. <a className="button" href={SIGN_IN}>Sign in again</a> Your tabs stay as they are.
      </p>
    );
  }
  return (
    <form className="hint" method="post" action={SIGN_OUT}>
      Signed in as <strong>{user.name}</strong> ({words(user.role)}) <button>Sign out</button>
    </form>
  );
}

function HowToPaste({ start = "Paste" }) {
  return <>{start} your token into the Headers pane: <code>{'{"Authorization": "Bearer …"}'}</code>. It is not stored.</>;
}

function Keys() {
  return (
    <div popover="auto" id="keys" className="keys" aria-label="Keys">
      <table>
        <tbody>
          {KEYS.map(([keys, what]) => (
            <tr key={keys}>
              <th scope="row"><kbd>{keys}</kbd></th>
              <td>{what}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Read from what GraphiQL shows of the active tab, so that it stays true when the tab changes. */
function Outcome() {
  const response = useGraphiQL((state) => state.tabs[state.activeTabIndex]?.response || state.fetchError);
  const sentences = useMemo(() => refusals(response), [response]);
  const more = sentences.length - 3;
  return (
    <>
      <div role="status" className={`outcome ${sentences.length ? "refused" : ""}`}>
        {sentences.slice(0, 3).map((sentence, index) => <p key={index}>{sentence}</p>)}
        {more > 0 && <p>and {more} more</p>}
        {response && !sentences.length && <p>Done, nothing refused.</p>}
      </div>
      {!response && <p className="outcome">{KEYS[0][0]} runs the operation; “Keys” lists the others.</p>}
    </>
  );
}

/** Requests as one of the development people; an expired token is replaced once, then the server's answer is final. */
function as(person) {
  let token = person.token;
  return async (params, { headers } = {}) => {
    const bearer = () => ({ authorization: `Bearer ${token}` });
    const result = await ask(params, bearer(), headers);
    if (!isSignedOut(result)) return result;
    const { people } = await configuration().catch(() => ({}));
    const fresh = people?.find((one) => one.email === person.email);
    if (!fresh || fresh.token === token) return result;
    token = fresh.token;
    return ask(params, bearer(), headers);
  };
}

/** Requests with the token pasted in any tab's Headers pane. */
function withToken(authorization) {
  return (params, { headers } = {}) => ask(params, { authorization }, headers);
}

/** Requests with the browser's session, unless the tab's own headers have a token. */
function withSession(renew) {
  return async (params, { headers } = {}) => {
    const result = await ask(params, headers);
    if (isSignedOut(result)) renew();
    return result;
  };
}

/**
 * The user of the browser's session, null until there is one, and whether it has ended; and a function that asks the
 * server again. Another tab can sign in or out, so that happens as well when this tab comes into view.
 */
function useSession(first, isOffered) {
  const [session, setSession] = useState({ user: first ?? null, hasEnded: false });
  const renew = useCallback(async () => {
    const user = await sessionUser();
    if (user) setSession({ user, hasEnded: false });
    else if (user === null) setSession((before) => ({ ...before, hasEnded: before.user !== null }));
  }, []);

  useEffect(() => {
    if (!isOffered) return undefined;
    const onView = () => document.hidden || renew();
    document.addEventListener("visibilitychange", onView);
    return () => document.removeEventListener("visibilitychange", onView);
  }, [isOffered, renew]);

  return [session, renew];
}

function authorizationIn(text) {
  return /"authorization"\s*:\s*"(bearer\s+[^"\s]+)"/i.exec(text)?.[1] ?? null;
}

let timer;

/** Waits until the typing pauses, so that half a token is never sent. */
function laterOn(action) {
  return (text) => {
    clearTimeout(timer);
    timer = setTimeout(action, 400, text);
  };
}

function openExamples() {
  if (!confirm("Close all tabs and open the examples again?")) return;
  forgetTabs();
  location.reload();
}

function words(role) {
  const lower = role.toLowerCase().replaceAll("_", " ");
  return lower[0].toUpperCase() + lower.slice(1);
}
