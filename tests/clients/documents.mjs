// A session that Apollo Client and urql have with the server, through an adapter. It returns what the cache held.

import { gql } from "@apollo/client";

import { advice, label } from "./__generated__/problems.mjs";
import { server, warnings } from "./session.mjs";

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

/**
 * Have the session. `query` and `mutate` ask the server; `read` returns what the cache has of a document, null if a field
 * is missing.
 */
export async function session({ query, mutate, read }) {
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
    shown: { afterOthers, afterDryRun, afterAddition, afterRemoval, removed },
    later: { advice: updateLocation.problems.map(advice), label: label(ofLaterRelease.location.status) },
    partial: { data: partial.data, error: partial.error?.message },
  };
}
