// The certified OpenID provider `oidc-provider`, as tests need it: with known people and clients, and with commands.
//
//     node provider.mjs '{"lena": {"email": "lena@acme.example", "email_verified": true}}'
//
// The argument has the claims of each person, by subject. It prints its issuer. Then it reads changes of `settings` from
// standard input, one JSON object a line, prints "done" when they apply, and ends with the input.

import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";

import { Provider } from "oidc-provider";
import { createMemoryAdapter } from "oidc-provider/lib/adapters/memory_adapter.js";

const people = JSON.parse(process.argv[2]);

const settings = {
  /** The origin of the server that people sign in to. */
  origin: "http://127.0.0.1",
  /** The names of the published signing keys. The first one signs. */
  keys: ["first"],
  /** The lifetime of access tokens and of ID tokens. */
  seconds: 300,
  /** The header `typ` of access tokens. */
  type: "at+jwt",
  /** How many seconds its clock is ahead. */
  clock: 0,
  /** "fails": every response is 503. "hangs": there are no responses. Of paths that begin with `outage_of` alone. */
  outage: null,
  outage_of: "/",
};

const now = Date.now;
Date.now = () => now() + settings.clock * 1000;

/** Sessions, codes and tokens, which outlive a change of the settings. */
const adapter = createMemoryAdapter();
const keys = new Map();
let provider;

function key(name) {
  if (!keys.has(name)) {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    keys.set(name, { ...privateKey.export({ format: "jwk" }), kid: name, use: "sig", alg: "RS256" });
  }
  return keys.get(name);
}

function clients() {
  return [
    {
      client_id: "turnup",
      client_secret: "secret-of-turnup",
      redirect_uris: [`${settings.origin}/auth/callback`],
      post_logout_redirect_uris: [`${settings.origin}/auth/signed-out`],
    },
    {
      client_id: "app",
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
      redirect_uris: ["http://127.0.0.1/app"],
    },
    {
      client_id: "machine",
      client_secret: "secret-of-machine",
      grant_types: ["client_credentials"],
      response_types: [],
      redirect_uris: [],
    },
  ];
}

function apply(changes) {
  Object.assign(settings, changes);
  provider = new Provider(issuer, {
    adapter,
    clients: clients(),
    jwks: { keys: settings.keys.map(key) },
    cookies: { keys: ["of tests"] },
    claims: { email: ["email", "email_verified"], profile: ["name"] },
    conformIdTokenClaims: false, // ID tokens have the claims of the scopes, as those of other providers
    pkce: { required: () => true },
    issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
    ttl: {
      AccessToken: settings.seconds,
      ClientCredentials: settings.seconds,
      IdToken: settings.seconds,
      Grant: 3600,
      Interaction: 3600,
      RefreshToken: 3600,
      Session: 3600,
    },
    findAccount,
    loadExistingGrant: allowing,
    formats: { customizers: { jwt: (_, token, jwt) => Object.assign(jwt, { header: { typ: settings.type } }) } },
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: "",
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "RS256", kid: settings.keys[0] } },
        }),
      },
      rpInitiatedLogout: {
        logoutSource: (context, form) => {
          context.body = page("Sign out", `${form}<button form="op.logoutForm" name="logout" value="yes">Sign out</button>`);
        },
        postLogoutSuccessSource: (context) => {
          context.body = page("Signed out", "<p>You are signed out of the provider.</p>");
        },
      },
    },
  });
}

function findAccount(_, accountId) {
  const claims = people[accountId];
  return claims && { accountId, claims: () => ({ sub: accountId, ...claims }) };
}

/** Everybody allows the clients what they ask for. */
async function allowing({ oidc }) {
  const grant = new oidc.provider.Grant({ accountId: oidc.session.accountId, clientId: oidc.client.clientId });
  grant.addOIDCScope("openid email profile");
  await grant.save();
  return grant;
}

function page(title, content) {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><link rel="icon" href="data:,"><h1>${title}</h1>${content}</html>`;
}

/** The page on which people say who they are. */
async function interact(request, response) {
  if (request.method === "POST") {
    const accountId = new URLSearchParams(await text(request)).get("name");
    await provider.interactionFinished(request, response, { login: { accountId } });
    return;
  }
  response.setHeader("content-type", "text/html");
  response.end(page("Provider", '<form method="post"><label>Name <input name="name"></label> <button>Continue</button></form>'));
}

const server = createServer((request, response) => {
  const outage = request.url.startsWith(settings.outage_of) ? settings.outage : null;
  if (outage === "fails") response.writeHead(503).end("The provider is down.");
  else if (outage === "hangs") return;
  else if (request.url.startsWith("/interaction/")) interact(request, response);
  else provider.callback()(request, response);
});
await once(server.listen(0, "127.0.0.1"), "listening");
const issuer = `http://localhost:${server.address().port}`;
apply({});
console.log(issuer);
for await (const line of createInterface(process.stdin)) {
  apply(JSON.parse(line));
  console.log("done");
}
process.exit();
