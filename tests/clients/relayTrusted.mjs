// Relay with trusted documents: with the hashes that relay-compiler wrote, and a network layer that falls back to the text.
//
//     LEAD_TOKEN=... node relayTrusted.mjs off=http://127.0.0.1:8000/graphql only=...

import relay from "relay-runtime";

import unlisted from "./__generated__/relayDocumentsUnlistedQuery.graphql.js";
import head from "./__generated__/relayDocumentsLocationHeadQuery.graphql.js";
import edit from "./__generated__/relayDocumentsEditHeadMutation.graphql.js";
import { recording, steps } from "./trusted.mjs";

const { commitMutation, Environment, fetchQuery, Network, RecordSource, Store } = relay;

function connect(address) {
  const post = async (body) => {
    const headers = { "content-type": "application/json" };
    return (await recording(address, { method: "POST", headers, body: JSON.stringify(body) })).json();
  };
  const network = Network.create(async ({ id, text }, variables) => {
    const answer = await post({ documentId: id, variables });
    const isUnknown = answer.errors?.some(({ message }) => message.startsWith("PersistedQueryNot"));
    return isUnknown ? post({ query: text, variables }) : answer;
  });
  const environment = new Environment({ network, store: new Store(new RecordSource()) });
  const query = (document, variables) =>
    fetchQuery(environment, document, variables, { fetchPolicy: "network-only" }).toPromise();
  return {
    read: async (variables) => (await query(head, variables)).location,
    edit: (variables) =>
      new Promise((resolve, reject) => {
        const onCompleted = ({ updateLocation }) => resolve(updateLocation.location);
        commitMutation(environment, { mutation: edit, variables, onCompleted, onError: reject });
      }),
    unlisted: () =>
      query(unlisted, {}).then(
        ({ viewer }) => viewer.role,
        () => null, // Relay throws if the response has no data
      ),
  };
}

await steps(connect);
