// GraphiQL's memory between visits: tabs, history, layout. Headers never enter it, because tokens live there;
// GraphiQL leaves them out of its tabs when asked, but not out of its history.

const PREFIX = "graphiql:";

function keys() {
  return Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
}

export const storage = {
  get length() {
    return keys().length;
  },
  getItem: (key) => localStorage.getItem(key),
  setItem: (key, value) => localStorage.setItem(key, withoutHeaders(value)),
  removeItem: (key) => localStorage.removeItem(key),
  clear: () => keys().forEach((key) => localStorage.removeItem(key)),
};

/** Forgets the tabs, so that the next opening starts with the examples again. */
export function forgetTabs() {
  for (const name of ["tabState", "query", "variables", "headers"]) localStorage.removeItem(PREFIX + name);
}

function withoutHeaders(value) {
  let content;
  try {
    content = JSON.parse(value);
  } catch {
    return value; // a query or a layout figure, not one of the structures that hold headers
  }
  if (content === null || typeof content !== "object") return value;
  return JSON.stringify(content, (key, child) => (key === "headers" ? undefined : child));
}
