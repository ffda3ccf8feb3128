// A session of relay-runtime with the server at the given address, as the lead whose token is in LEAD_TOKEN.
// Prints, as JSON, every warning of the library, and what a mounted location showed after each step.
//
//     LEAD_TOKEN=... node relay.mjs http://127.0.0.1:8000/graphql

import relay from "relay-runtime";

import { advice, label } from "./__generated__/problems.mjs";
import { post, report, server, warnings } from "./session.mjs";

const { Environment, Network, RecordSource, Store, createOperationDescriptor, fetchQuery, commitMutation } = relay;

const artifact = async (name) => (await import(`./__generated__/relayDocuments${name}.graphql.js`)).default;

const environment = new Environment({
  network: Network.create((request, variables) => post(request.text, variables)),
  store: new Store(new RecordSource()),
});

async function query(name, variables = {}) {
  return fetchQuery(environment, await artifact(`${name}Query`), variables, { fetchPolicy: "network-only" }).toPromise();
}

async function mutate(name, input) {
  const mutation = await artifact(`${name}Mutation`);
  return new Promise((resolve, reject) => {
    commitMutation(environment, { mutation, variables: { input }, onCompleted: resolve, onError: reject });
  });
}

const id = "location-3";
const mounted = createOperationDescriptor(await artifact("LocationQuery"), { id });
const fragment = await artifact("_location");

/** What a component shows that has the location mounted: null where a value is missing. */
function shown() {
  const owner = environment.lookup(mounted.fragment);
  const selector = relay.getSingularSelector(fragment, owner.data.location);
  const { data, isMissingData } = environment.lookup(selector);
  const labels = data.devices.map((device) => device.label);
  return { isMissingData: isMissingData || owner.isMissingData, status: data.status, labels, data };
}

const steps = {};
const retained = environment.retain(mounted);
const { viewer } = await query("Location", { id });
steps.queried = shown();
await query("Lists");
const ids = [id, viewer.user.id, "account-1", "location-4"];
for (const each of ids) await query("Node", { id: each, ids });
steps.listed = shown();

const bulk = await mutate("BulkDryRun", {
  locationIds: [id, "location-4", "location-7"],
  status: "BLOCKED",
  reason: "A flood",
  dryRun: true,
  idempotencyKey: "relay-dry-run",
});
steps.dryRun = { outcomes: bulk.bulkUpdateStatus.results.map(({ outcome }) => outcome), ...shown() };

const { sections, workingHours } = steps.dryRun.data;
const revision = (name) => sections.find(({ section }) => section === name).revision;
const [first, ...rest] = workingHours;
const changed = await mutate("SetWorkingHours", {
  locationId: id,
  expectedRevision: revision("WORKING_HOURS"),
  intervals: [{ ...first, opens: "09:30" }, ...rest],
});
const { problems } = changed.setWorkingHours;
steps.changed = { problems, before: workingHours, after: shown().data.workingHours, ...shown() };

const { addDevice } = await mutate("AddDevice", { locationId: id, brand: "YEALINK", label: "Bench" });
steps.added = shown();
const { id: deviceId, revision: expectedRevision } = addDevice.device;
await mutate("RemoveDevice", { deviceId, expectedRevision });
steps.removed = { ...shown(), record: environment.getStore().getSource().getStatus(deviceId) };

/** What a fragment shows of the query, or of the object that the query has in a field. */
function shownBy(fragmentNode, operation, field) {
  const { data } = environment.lookup(operation.fragment);
  return environment.lookup(relay.getSingularSelector(fragmentNode, field ? data[field] : data)).data;
}

/** Edit after somebody else edited, refetch as useRefetchableFragment does, and edit again. */
async function refetching() {
  const locationId = "location-1";
  const [head, setCode] = [await artifact("_head"), await artifact("SetCodeMutation")];
  const operation = createOperationDescriptor(await artifact("HeadQuery"), { id: locationId });
  const retainedHead = environment.retain(operation);
  await query("Head", { id: locationId });
  const location = () => shownBy(head, operation, "location");
  const edit = (siteCode) => {
    const { revision } = location().sections.find(({ section }) => section === "LOCATION");
    return { locationId, siteCode, expectedRevision: revision };
  };
  const codes = [location().siteCode];
  await post(setCode.params.text, { input: edit("KIOSK") });
  const refused = await mutate("SetCode", edit("FRONT"));
  codes.push(location().siteCode);
  const { operation: refetchQuery, identifierInfo } = head.metadata.refetch;
  const variables = { [identifierInfo.identifierQueryVariableName]: locationId };
  await fetchQuery(environment, refetchQuery, variables, { fetchPolicy: "network-only" }).toPromise();
  codes.push(location().siteCode);
  const applied = await mutate("SetCode", edit(null));
  codes.push(location().siteCode);
  retainedHead.dispose();
  const problems = [refused, applied].map(({ updateLocation }) => updateLocation.problems.map(({ code }) => code));
  return { codes, problems };
}

/** Load a connection page after page, as usePaginationFragment does. Return what the fragment shows after each page. */
async function paging() {
  const list = await artifact("_list");
  const operation = createOperationDescriptor(await artifact("ListQuery"), {});
  const retainedList = environment.retain(operation);
  await query("List");
  const { operation: nextPage, connection } = list.metadata.refetch;
  const { count, cursor } = connection.forward;
  const locations = () => shownBy(list, operation).locations;
  const pages = [locations()];
  while (locations().pageInfo.hasNextPage) {
    const variables = { [count]: 5, [cursor]: locations().pageInfo.endCursor };
    await fetchQuery(environment, nextPage, variables, { fetchPolicy: "network-only" }).toPromise();
    pages.push(locations());
  }
  retainedList.dispose();
  return pages.map(({ edges }) => edges.map(({ node }) => node.id));
}

const refetched = await refetching();
const pages = await paging();

server.isLater = true;
const { updateLocation } = await mutate("Update", { locationId: id, expectedRevision: 0, name: "Harbor" });
await query("Location", { id });
const ofLaterRelease = { advice: updateLocation.problems.map(advice), label: label(shown().status) };
server.isLater = false;
await query("Location", { id });
retained.dispose();

server.token = server.customerToken;
const { location: partial } = await query("Overrides", { id });
server.token = server.leadToken;

const warningsBefore = [...warnings];
server.isWrong = true;
await query("Location", { id });

for (const step of Object.values(steps)) delete step.data;
report({
  warnings: warningsBefore,
  warningsOfSharedIds: warnings.slice(warningsBefore.length),
  steps,
  refetched,
  pages,
  later: ofLaterRelease,
  partial,
});
