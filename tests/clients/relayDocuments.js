// The documents of relay.mjs. Only relay-compiler reads this file: it writes __generated__.

import { graphql } from "relay-runtime";

graphql`
  fragment relayDocuments_target on Target {
    kind
    extension {
      id
      number
    }
    externalNumber
    externalNumberE164
  }
`;

graphql`
  fragment relayDocuments_location on Location {
    id
    name
    status
    revision
    updatedAt
    address {
      line1
      city
      country
    }
    account {
      id
      name
    }
    statusReason {
      reason
      by {
        id
        name
      }
    }
    sections {
      section
      revision
      complete
    }
    contacts {
      id
      purpose
    }
    phoneSystem {
      mainNumber
      revision
    }
    devices {
      id
      model
      label
      revision
      extension {
        id
        number
      }
    }
    people {
      id
      firstName
    }
    extensions {
      id
      number
      person {
        id
        lastName
      }
      device {
        id
        brand
      }
    }
    workingHours {
      id
      weekday
      opens
      closes
    }
    callFlow {
      kind
      timeoutTarget {
        ...relayDocuments_target
      }
      options {
        digit
        target {
          ...relayDocuments_target
        }
      }
    }
    session {
      id
      currentStep
      completeness {
        section
        complete
      }
    }
    readiness {
      code
      severity
      path
    }
    viewerActions {
      action
      allowed
    }
    hasMoreApprovals
    approvals {
      id
      digest
      requestedBy {
        id
        name
        role
      }
    }
    payloads {
      id
      state
      recipients {
        id
        user {
          id
          name
        }
        receipt {
          id
          receivedAt
        }
      }
    }
  }
`;

graphql`
  query relayDocumentsLocationQuery($id: ID!) {
    viewer {
      name
      role
      user {
        id
        name
        email
      }
    }
    location(id: $id) {
      ...relayDocuments_location
    }
  }
`;

graphql`
  query relayDocumentsNodeQuery($id: ID!, $ids: [ID!]!) {
    nodes(ids: $ids) {
      id
      ... on Location {
        name
        account {
          id
        }
      }
      ... on User {
        name
        role
      }
      ... on Account {
        name
        revision
      }
    }
    node(id: $id) {
      __typename
      id
      ... on Location {
        name
        status
      }
      ... on User {
        name
      }
    }
  }
`;

graphql`
  query relayDocumentsListsQuery {
    locations(first: 5) {
      edges {
        cursor
        node {
          id
          name
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
    users(first: 20) {
      nodes {
        id
        name
        grants {
          account {
            id
            name
          }
          locations(first: 2) {
            nodes {
              id
              name
            }
          }
        }
      }
    }
    accounts(first: 2) {
      nodes {
        id
        name
        locations(first: 3) {
          nodes {
            id
            name
            review {
              digest
              changes {
                path
                after
              }
            }
          }
        }
      }
    }
    auditLog(first: 20) {
      nodes {
        id
        occurredAt
        actor {
          id
          name
        }
        changes(first: 5) {
          nodes {
            rowId
            field
          }
        }
      }
    }
  }
`;

graphql`
  query relayDocumentsOverridesQuery($id: ID!) {
    location(id: $id) {
      id
      name
      overrides {
        id
      }
    }
  }
`;

graphql`
  mutation relayDocumentsBulkDryRunMutation($input: BulkUpdateStatusInput!) {
    bulkUpdateStatus(input: $input) {
      dryRun
      summary {
        applied
        refused
      }
      results {
        index
        locationId
        outcome
        location {
          id
          status
        }
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

graphql`
  mutation relayDocumentsSetWorkingHoursMutation($input: SetWorkingHoursInput!) {
    setWorkingHours(input: $input) {
      location {
        ...relayDocuments_location
      }
      problems {
        __typename
        code
        message
        ... on Conflict {
          currentRevision
        }
      }
    }
  }
`;

graphql`
  mutation relayDocumentsAddDeviceMutation($input: AddDeviceInput!) {
    addDevice(input: $input) {
      device {
        id
        revision
      }
      location {
        ...relayDocuments_location
      }
      problems {
        code
        message
      }
    }
  }
`;

graphql`
  mutation relayDocumentsRemoveDeviceMutation($input: RemoveDeviceInput!) {
    removeDevice(input: $input) {
      removedDeviceId @deleteRecord
      location {
        ...relayDocuments_location
      }
      problems {
        code
        message
      }
    }
  }
`;

graphql`
  mutation relayDocumentsUpdateMutation($input: UpdateLocationInput!) {
    updateLocation(input: $input) {
      location {
        id
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

graphql`
  fragment relayDocuments_head on Location @refetchable(queryName: "relayDocumentsHeadRefetchQuery") {
    name
    siteCode
    sections {
      section
      revision
    }
  }
`;

graphql`
  query relayDocumentsHeadQuery($id: ID!) {
    location(id: $id) {
      ...relayDocuments_head
    }
  }
`;

graphql`
  fragment relayDocuments_list on Query
  @argumentDefinitions(count: { type: "Int", defaultValue: 5 }, cursor: { type: "String" })
  @refetchable(queryName: "relayDocumentsListPaginationQuery") {
    locations(first: $count, after: $cursor, orderBy: { field: NAME, direction: DESC })
      @connection(key: "relayDocuments_locations") {
      edges {
        node {
          id
          name
        }
      }
    }
  }
`;

graphql`
  query relayDocumentsListQuery {
    ...relayDocuments_list
  }
`;

graphql`
  mutation relayDocumentsSetCodeMutation($input: UpdateLocationInput!) {
    updateLocation(input: $input) {
      location {
        ...relayDocuments_head
      }
      problems {
        code
        message
        ... on Conflict {
          currentRevision
        }
      }
    }
  }
`;

graphql`
  query relayDocumentsLocationHeadQuery($id: ID!) {
    location(id: $id) {
      siteCode
      sections {
        section
        revision
      }
    }
  }
`;

graphql`
  mutation relayDocumentsEditHeadMutation($input: UpdateLocationInput!) {
    updateLocation(input: $input) {
      location {
        siteCode
      }
      problems {
        code
      }
    }
  }
`;

graphql`
  query relayDocumentsUnlistedQuery {
    viewer {
      role
    }
  }
`;
