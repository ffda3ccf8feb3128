import { defineConfig, loadEnv } from "vite";

// The API and the sign-in are served beside the page, so that the session of the browser counts: here by this proxy, in
// production by the reverse proxy. With TURNUP_TOKEN, this proxy signs requests in by itself. The page has no token.
export default defineConfig(({ mode }) => {
  const { TURNUP_URL: target = "http://127.0.0.1:8000", TURNUP_TOKEN: token } = loadEnv(mode, ".", "TURNUP_");
  const turnup = { target, headers: token ? { authorization: `Bearer ${token}` } : {} };
  return { server: { host: "127.0.0.1", proxy: { "/graphql": turnup, "/auth": turnup } } };
});
