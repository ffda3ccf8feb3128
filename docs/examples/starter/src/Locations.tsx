import { useQuery } from "@apollo/client/react";
import { useState } from "react";

import { graphql } from "./__generated__";
import { Failure } from "./Failure";

const LOCATIONS = graphql(`
  query Locations($after: String) {
    locations(first: 5, after: $after) {
      edges { node { id name status } }
      pageInfo { endCursor hasNextPage }
      totalCount
    }
  }
`);

/** A text for a status, also for one of a later release. */
export const label = (status: string) => status.toLowerCase().replaceAll("_", " ");

export function Locations() {
  const { data, error, loading, refetch, fetchMore } = useQuery(LOCATIONS);
  const [failure, setFailure] = useState<unknown>();
  const list = data?.locations;
  if (!list) return loading ? <p>Loading …</p> : <Failure error={error} retry={() => void refetch()} />;

  const more = (after: string | null) =>
    fetchMore({ variables: { after } }).then(({ error }) => setFailure(error), setFailure);

  return (
    <>
      <ul>
        {list.edges.map(({ node: { id, name, status } }) => (
          <li key={id}>
            <a href={`#${id}`}>{name || "Without a name"}</a> <span>{label(status)}</span>
          </li>
        ))}
      </ul>
      {failure ? <Failure error={failure} /> : null}
      <p>
        {list.edges.length} of {list.totalCount}{" "}
        {list.pageInfo.hasNextPage && <button onClick={() => more(list.pageInfo.endCursor)}>Show more</button>}
      </p>
    </>
  );
}
