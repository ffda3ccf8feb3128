import { ApolloProvider, useQuery } from "@apollo/client/react";
import { StrictMode, useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";

import { graphql } from "./__generated__";
import { client } from "./client";
import { Edit } from "./Edit";
import { Failure } from "./Failure";
import { Locations } from "./Locations";

const VIEWER = graphql(`
  query Viewer { viewer { name user { id } } }
`);

function onHashChange(changed: () => void) {
  addEventListener("hashchange", changed);
  return () => removeEventListener("hashchange", changed);
}

function App() {
  const id = useSyncExternalStore(onHashChange, () => location.hash.slice(1));
  const { data, error, loading, refetch } = useQuery(VIEWER);
  return (
    <>
      <header>
        <h1>Locations</h1>
        {data && <span>{data.viewer.name} <a href="/auth/logout">Sign out</a></span>}
      </header>
      <main>
        {id && <a href="#">All locations</a>}
        {!data && (loading ? <p>Loading …</p> : <Failure error={error} retry={() => void refetch()} />)}
        {data && (id ? <Edit key={id} id={id} userId={data.viewer.user.id} /> : <Locations />)}
      </main>
    </>
  );
}

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <ApolloProvider client={client}>
      <App />
    </ApolloProvider>
  </StrictMode>,
);
