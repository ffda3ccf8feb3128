// A session that Apollo Client and urql have with the server, through an adapter. It returns what the cache held.

import { gql } from "@apollo/client";
import { print } from "graphql";

import { advice, label } from "./__generated__/problems.mjs";
import { isConfigured, post, server, warnings } from "./session.mjs";

// Items of a list have the same fields everywhere.
const SECTIONS = gql`
  fragment Sections on Location {
    sections {
      section
      revision
      complete
    }
  }
`;

const LOCATION = gql`
  ${SECTIONS}
  query Location($id: ID!) {
    viewer {
      name
      user {
        id
        name
      }
    }
    location(id: $id) {
      id
      name
      status
      address {
        line1
        city
      }
      phoneSystem {
        mainNumber
      }
      callFlow {
        kind
        timeoutTarget {
          kind
          extension {
            id
            number
          }
        }
      }
      statusReason {
        reason
      }
      ...Sections
      devices {
        id
        label
        revision
      }
      workingHours {
        id
        opens
      }
      readiness {
        code
      }
      viewerActions {
        action
        allowed
      }
    }
    locations(first: 5) {
      nodes {
        id
        name
      }
    }
  }
`;

// The same objects with other fields.
const OTHER_FIELDS = gql`
  ${SECTIONS}
  query OtherFields($id: ID!) {
    viewer {
      email
      role
    }
    location(id: $id) {
      id
      revision
      address {
        zipcode
        country
      }
      phoneSystem {
        provider
        revision
      }
      callFlow {
        greeting
        timeoutTarget {
          externalNumber
        }
        options {
          digit
          target {
            kind
          }
        }
      }
      statusReason {
        at
        by {
          id
          name
        }
      }
      ...Sections
      extensions {
        id
        device {
          id
          brand
        }
      }
      approvals {
        id
        requestedBy {
          id
          role
        }
      }
    }
    locations(first: 5) {
      edges {
        cursor
        node {
          id
          status
        }
      }
      pageInfo {
        hasNextPage
      }
    }
  }
`;

const BULK_DRY_RUN = gql`
  mutation BulkDryRun($input: BulkUpdateStatusInput!) {
    bulkUpdateStatus(input: $input) {
      results {
        index
        locationId
        outcome
        problem {
          code
          message
        }
      }
      problems {
        code
        message
      }
    }
  }
`;

const ADD_DEVICE = gql`
  mutation AddDevice($input: AddDeviceInput!) {
    addDevice(input: $input) {
      device {
        id
        label
        revision
      }
      location {
        id
        devices {
          id
          label
          revision
        }
      }
      problems {
        code
        message
      }
    }
  }
`;

const REMOVE_DEVICE = gql`
  mutation RemoveDevice($input: RemoveDeviceInput!) {
    removeDevice(input: $input) {
      removedDeviceId
      location {
        id
        devices {
          id
          label
          revision
        }
      }
      problems {
        code
        message
      }
    }
  }
`;

const DEVICE = gql`
  query Device($id: ID!) {
    node(id: $id) {
      id
      ... on Device {
        label
      }
    }
  }
`;

const OVERRIDES = gql`
  query Overrides($id: ID!) {
    location(id: $id) {
      id
      name
      overrides {
        id
      }
    }
  }
`;

/** The fields of the interface are selected without a fragment, so that they are there for types of later releases. */
const UPDATE = gql`
  mutation Update($input: UpdateLocationInput!) {
    updateLocation(input: $input) {
      location {
        id
        status
      }
      problems {
        code
        message
        path
        ... on Conflict {
          currentRevision
        }
      }
    }
  }
`;

const PAGE = gql`
  query Page($first: Int!, $after: String) {
    locations(first: $first, after: $after, orderBy: { field: NAME, direction: DESC }) {
      edges {
        cursor
        node {
          id
          name
        }
      }
      pageInfo {
        endCursor
        hasNextPage
      }
    }
  }
`;

const CODE = gql`
  query Code($id: ID!) {
    location(id: $id) {
      id
      siteCode
      sections {
        section
        revision
        complete
      }
    }
  }
`;

const SET_CODE = gql`
  ${SECTIONS}
  mutation SetCode($input: UpdateLocationInput!) {
    updateLocation(input: $input) {
      location {
        id
        siteCode
        ...Sections
      }
      problems {
        code
        message
        path
        ... on Conflict {
          currentRevision
        }
      }
    }
  }
`;

const edges = (connection) => connection.edges.map(({ cursor, node }) => ({ id: node.id, cursor }));

/** Load a list page after page, and return what the cache has of it in the end. */
async function paging({ more }) {
  const variables = { first: 5 };
  const shown = [];
  for await (const { locations } of more(PAGE, variables)) shown.push(edges(locations));
  const whole = await post(print(PAGE), { first: 100 });
  return { shown, whole: edges(whole.data.locations) };
}

/** Edit optimistically, after somebody else edited and after reading that. Return the site code after each step. */
async function editing({ query, mutate, read }) {
  const id = "location-1";
  const codes = [];
  const show = () => codes.push(read(CODE, { id }).location.siteCode);
  const edit = (siteCode, expectedRevision) => ({ input: { locationId: id, expectedRevision, siteCode } });
  const revisionIn = ({ location }) => location.sections.find(({ section }) => section === "LOCATION").revision;
  const optimistic = (siteCode) => ({
    updateLocation: {
      __typename: "UpdateLocationPayload",
      location: { ...read(CODE, { id }).location, siteCode },
      problems: [],
    },
  });

  const { data: first } = await query(CODE, { id });
  show();
  await post(print(SET_CODE), edit("KIOSK", revisionIn(first)));
  const refused = mutate(SET_CODE, edit("FRONT", revisionIn(first)), optimistic("FRONT"));
  show();
  const [problem] = (await refused).data.updateLocation.problems;
  show();

  const { data: second } = await query(CODE, { id });
  show();
  const applied = mutate(SET_CODE, edit("FRONT", revisionIn(second)), optimistic("FRONT"));
  show();
  const { location, problems } = (await applied).data.updateLocation;
  show();
  const revisions = { read: revisionIn(second), inConflict: problem.currentRevision };
  await post(print(SET_CODE), edit(null, revisionIn({ location })));
  return { codes, refusal: problem.code, revisions, problems };
}

/**
 * Have the session. `query` and `mutate` ask the server; `read` returns what the cache has of a document, null if a field
 * is missing; `more` yields a list after each page.
 */
export async function session(client) {
  const { query, mutate, read } = client;
  const variables = { id: "location-3" };
  const shown = () => read(LOCATION, variables);
  const { data: answered } = await query(LOCATION, variables);
  const { data: others } = await query(OTHER_FIELDS, variables);
  const afterOthers = shown();

  const locationIds = ["location-3", "location-4"];
  const dryRun = { locationIds, status: "BLOCKED", reason: "A flood", dryRun: true, idempotencyKey: "dry-run" };
  const { bulkUpdateStatus } = (await mutate(BULK_DRY_RUN, { input: dryRun })).data;
  const afterDryRun = shown();

  const device = { locationId: "location-3", brand: "YEALINK", label: "Bench" };
  const { addDevice } = (await mutate(ADD_DEVICE, { input: device })).data;
  const afterAddition = shown();
  const { id: deviceId, revision } = addDevice.device;
  await mutate(REMOVE_DEVICE, { input: { deviceId, expectedRevision: revision } });
  const afterRemoval = shown();
  const removed = read(DEVICE, { id: deviceId });

  const pages = isConfigured && (await paging(client)); // without the policy, a list does not grow
  const edits = await editing(client);

  const warningsBefore = [...warnings];
  server.isLater = true;
  const update = { locationId: "location-3", expectedRevision: 0, name: "Harbor" };
  const { updateLocation } = (await mutate(UPDATE, { input: update })).data;
  const { data: ofLaterRelease } = await query(LOCATION, variables);
  server.isLater = false;

  server.token = server.customerToken;
  const partial = await query(OVERRIDES, variables);

  return {
    warnings: warningsBefore,
    answered,
    others,
    outcomes: bulkUpdateStatus.results.map(({ outcome }) => outcome),
    pages,
    edits,
    shown: { afterOthers, afterDryRun, afterAddition, afterRemoval, removed },
    later: { advice: updateLocation.problems.map(advice), label: label(ofLaterRelease.location.status) },
    partial: { data: partial.data, error: partial.error?.message },
  };
}
