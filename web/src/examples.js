// The operations that open as tabs on a first visit, in the order of a location's life.

const ORDER = ["customer-locations", "lead-approval", "lead-override", "partner-handoff"];

const operations = import.meta.glob("./examples/*.graphql", { eager: true, query: "?raw", import: "default" });
const variables = import.meta.glob("./examples/*.json", { eager: true, import: "default" });

/** GraphiQL's tabs; `known` is the server's [{example, variables}], ids of its demo data among them. */
export function exampleTabs(known = []) {
  const fromServer = new Map(known.map((tab) => [tab.example, tab.variables]));
  return ORDER.map((name) => {
    const values = { ...variables[`./examples/${name}.json`], ...fromServer.get(name) };
    return {
      query: operations[`./examples/${name}.graphql`],
      variables: Object.keys(values).length ? JSON.stringify(values, null, 2) : null,
    };
  });
}
