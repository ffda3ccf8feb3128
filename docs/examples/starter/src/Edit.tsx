import { useApolloClient, useQuery } from "@apollo/client/react";
import { useState, type FormEvent } from "react";

import { graphql } from "./__generated__";
import type { EditableFragment } from "./__generated__/graphql";
import { FIELDS, fields, rebased, useDraft, type Draft, type Field, type Values } from "./draft";
import { Failure } from "./Failure";
import { label } from "./Locations";

graphql(`
  fragment Editable on Location {
    id name siteCode timezone status
    sections { section revision }
  }
`);
const LOCATION = graphql(`
  query Location($id: ID!) { location(id: $id) { ...Editable } }
`);
const UPDATE = graphql(`
  mutation Update($input: UpdateLocationInput!) {
    updateLocation(input: $input) {
      location { ...Editable }
      problems { code message }
    }
  }
`);

export function Edit({ id, userId }: { id: string; userId: string }) {
  const { data, error, loading, refetch } = useQuery(LOCATION, { variables: { id }, fetchPolicy: "cache-and-network" });
  if (data?.location) return <Form location={data.location} draftKey={`draft ${userId} ${id}`} />;
  return loading ? <p>Loading …</p> : <Failure error={error} retry={() => void refetch()} />;
}

function Form({ location, draftKey }: { location: EditableFragment; draftKey: string }) {
  const client = useApolloClient();
  const [draft, keep] = useDraft(draftKey);
  const [saving, setSaving] = useState(false);
  const [messages, setMessages] = useState<string[]>([]);
  const [failure, setFailure] = useState<unknown>();
  const { read, mine, theirs } = draft ?? { read: location, mine: {}, theirs: {} };

  async function save(event: FormEvent) {
    event.preventDefault();
    if (!draft) return;
    setSaving(true);
    setFailure(undefined);
    setMessages(await send(draft).catch((error: unknown) => (setFailure(error), [])));
    setSaving(false);
  }

  /** Returns what to tell the user. */
  async function send({ read, mine, idempotencyKey }: Draft) {
    const expectedRevision = read.sections.find(({ section }) => section === "LOCATION")!.revision;
    const emptied = { ...(mine.siteCode === "" && { siteCode: null }), ...(mine.timezone === "" && { timezone: null }) };
    const input = { locationId: read.id, expectedRevision, ...mine, ...emptied, idempotencyKey };
    const { data, error } = await client.mutate({ mutation: UPDATE, variables: { input } });
    if (!data?.updateLocation) throw error;
    const { location: saved, problems } = data.updateLocation;
    if (saved) {
      keep({ read: saved, mine: {}, theirs: {} });
      return ["Saved."];
    }
    if (!problems.some(({ code }) => code === "CONFLICT")) {
      keep({ read, mine, theirs: {} });
      return problems.map(({ message }) => message);
    }
    const latest = await client.query({ query: LOCATION, variables: { id: read.id }, fetchPolicy: "network-only" });
    if (!latest.data?.location) throw latest.error;
    keep(rebased({ read, mine, theirs: {}, idempotencyKey }, latest.data.location));
    return ["Somebody else changed this location. Check your changes, and save again."];
  }

  function decide(name: Field, takeTheirs: boolean) {
    const drop = (values: Values) => Object.fromEntries(Object.entries(values).filter(([each]) => each !== name));
    keep({ read, mine: takeTheirs ? drop(mine) : mine, theirs: drop(theirs) });
  }

  return (
    <>
      <h2>{read.name || "Without a name"}</h2>
      <p>Status: {label(read.status)}</p>
      <form onSubmit={save}>
        {fields.map((name) => (
          <div key={name}>
            <label htmlFor={name}>{FIELDS[name]}</label>
            <input
              id={name}
              readOnly={saving}
              value={mine[name] ?? read[name] ?? ""}
              onChange={({ target }) => keep({ read, mine: { ...mine, [name]: target.value }, theirs })}
            />
            {theirs[name] !== undefined && (
              <fieldset>
                <legend>Somebody else changed this field</legend>
                <button type="button" onClick={() => decide(name, false)}>Keep yours: {mine[name] || "empty"}</button>
                <button type="button" onClick={() => decide(name, true)}>Take theirs: {theirs[name] || "empty"}</button>
              </fieldset>
            )}
          </div>
        ))}
        {failure ? <Failure error={failure} /> : null}
        <div role="status">{messages.map((message) => <p key={message}>{message}</p>)}</div>
        <button disabled={saving || !draft || Object.keys(theirs).length > 0}>Save</button>
        {draft && !saving && (
          <button type="button" onClick={() => keep({ read, mine: {}, theirs: {} })}>Discard changes</button>
        )}
      </form>
    </>
  );
}
