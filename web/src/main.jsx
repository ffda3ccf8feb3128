// Starts the page: asks the server who may sign in here, who is signed in and which examples to open, then draws.
import "graphiql/setup-workers/vite";
import "@graphiql/react/style.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "@graphiql/plugin-history/style.css";
import "graphiql/graphiql.css";
import "./page.css";

import { createRoot } from "react-dom/client";

import { configuration, sessionUser } from "./api.js";
import { Page } from "./page.jsx";

const root = createRoot(document.getElementById("root"));

try {
  const config = await configuration();
  root.render(<Page config={config} user={config.signIn ? await sessionUser() : null} />);
} catch (error) {
  root.render(<p className="opening" role="alert">GraphiQL could not open: {error.message}. Reload to try again.</p>);
}
