// The Node servers that bench.requests measures with --node: `node server.js bare|graphql-js|mercurius|yoga PORT`.
//
// Each answers the bench's cases as a good team would write it: the product's schema, its app's role and policies, the
// same sign-in and REPEATABLE READ transaction on one connection a request, named prepared statements, a dataloader for
// each relation, and every document parsed, validated and, where there is a compiler, compiled once. None reads a
// token, counts a budget or writes a log.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";

import DataLoader from "dataloader";
import pg from "pg";

const BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
const SUBJECT = "lead@turnup.example";
const SDL = readFileSync(new URL("../../schema.graphql", import.meta.url), "utf8");

const SIGN_IN = {
  name: "sign_in",
  text: "SELECT id, name, email, role, status, accounts, locations FROM turnup.sign_in('ACCESS_TOKEN', $1, NULL, NULL, $2)",
};
const PAGE = {
  name: "page",
  text: `SELECT id, account_id, name, status, city, timezone, revision, updated_at AS "updatedAt" FROM turnup.location
    WHERE account_id = $1 ORDER BY name, id LIMIT $2`,
};
const FLAT_PAGE = {
  name: "flat_page",
  text: `SELECT id, name, status, timezone, revision, updated_at AS "updatedAt" FROM turnup.location
    WHERE account_id = $1 ORDER BY name, id LIMIT $2`,
};
const ACCOUNTS = { name: "accounts", text: "SELECT id, name FROM turnup.account WHERE id = ANY($1::text[])" };
const CONTACTS = {
  name: "contacts",
  text: `SELECT location_id, id, purpose, name AS "fullName", email, phone FROM turnup.contact
    WHERE location_id = ANY($1::text[]) ORDER BY position`,
};
const DEVICES = {
  name: "devices",
  text: `SELECT location_id, id, brand, model, mac_address, label FROM turnup.device
    WHERE location_id = ANY($1::text[]) ORDER BY id`,
};
const HOURS = {
  name: "hours",
  text: `SELECT location_id, weekday, opens, closes FROM turnup.working_hours
    WHERE location_id = ANY($1::text[]) ORDER BY weekday, opens, id`,
};
const EXTENSIONS = {
  name: "extensions",
  text: "SELECT device_id, id, number, person_id FROM turnup.extension WHERE device_id = ANY($1::text[])",
};
const PEOPLE = {
  name: "people",
  text: `SELECT id, first_name AS "firstName", email FROM turnup.person WHERE id = ANY($1::text[])`,
};

// Times stay the text that PostgreSQL sends: a Date would be parsed for nothing, and lose the microseconds.
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => text.replace(" ", "T").replace("+00", "Z"));

const [kind, port] = process.argv.slice(2);

const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  max: Number(process.env.TURNUP_POOL_SIZE ?? 10),
  idleTimeoutMillis: 0,
  application_name: kind,
  options: "-c timezone=UTC",
  pipeline: true, // statements are sent without waiting for the answers of those before
});

async function rows(client, statement, ...values) {
  return (await client.query({ ...statement, values })).rows;
}

/** What `work` makes of a signed-in client, in one read-only transaction. */
async function inSnapshot(work) {
  const client = await pool.connect();
  try {
    await Promise.all([client.query(BEGIN), rows(client, SIGN_IN, SUBJECT, 15_000)]);
    const result = await work(client);
    await client.query("COMMIT");
    client.release();
    return result;
  } catch (error) {
    client.release(error);
    throw error;
  }
}

function mac(a) {
  if (a === null) return null;
  const pairs = `${a.slice(0, 2)}:${a.slice(2, 4)}:${a.slice(4, 6)}:${a.slice(6, 8)}:${a.slice(8, 10)}:${a.slice(10)}`;
  return pairs.toUpperCase();
}

/** The rows of each key, in the order of the keys. */
function many(client, statement, key) {
  return new DataLoader(async (keys) => {
    const found = new Map(keys.map((each) => [each, []]));
    for (const row of await rows(client, statement, keys)) found.get(row[key]).push(row);
    return keys.map((each) => found.get(each));
  });
}

/** The row of each key, or null. */
function one(client, statement, key) {
  return new DataLoader(async (keys) => {
    const found = new Map();
    for (const row of await rows(client, statement, keys)) found.set(row[key], row);
    return keys.map((each) => found.get(each) ?? null);
  });
}

/** What the resolvers of one request need. */
function contextOf(client) {
  return {
    client,
    accounts: one(client, ACCOUNTS, "id"),
    contacts: many(client, CONTACTS, "location_id"),
    devices: many(client, DEVICES, "location_id"),
    hours: many(client, HOURS, "location_id"),
    extensions: one(client, EXTENSIONS, "device_id"),
    people: one(client, PEOPLE, "id"),
  };
}

const RESOLVERS = {
  Query: {
    locations: async (_, { first, filter }, { client }) => ({ nodes: await rows(client, PAGE, filter.accountId, first) }),
  },
  Location: {
    address: (location) => location,
    account: (location, _, { accounts }) => accounts.load(location.account_id),
    contacts: (location, _, { contacts }) => contacts.load(location.id),
    devices: (location, _, { devices }) => devices.load(location.id),
    workingHours: (location, _, { hours }) => hours.load(location.id),
  },
  Device: {
    macAddress: (device) => mac(device.mac_address),
    extension: (device, _, { extensions }) => extensions.load(device.id),
  },
  Extension: {
    person: ({ person_id }, _, { people }) => person_id && people.load(person_id),
  },
};

/** A function from a request's parsed body to the JSON of its answer, served by Node's own HTTP server. */
function serve(port, answer) {
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", async () => {
      const body = JSON.stringify(await answer(JSON.parse(Buffer.concat(chunks))));
      response.writeHead(200, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) });
      response.end(body);
    });
  });
  server.listen(port, "127.0.0.1");
}

async function executableSchema() {
  const { buildSchema } = await import("graphql");
  const schema = buildSchema(SDL);
  for (const [type, fields] of Object.entries(RESOLVERS)) {
    for (const [field, resolve] of Object.entries(fields)) schema.getType(type).getFields()[field].resolve = resolve;
  }
  return schema;
}

/** graphql-js alone: a document seen before is not parsed and validated again. */
async function graphqlJs(port) {
  const { execute, parse, validate } = await import("graphql");
  const schema = await executableSchema();
  const documents = new Map();
  function documentOf(query) {
    let document = documents.get(query);
    if (!document) {
      document = parse(query);
      const errors = validate(schema, document);
      if (errors.length) throw errors[0];
      documents.set(query, document);
    }
    return document;
  }
  serve(port, ({ query, operationName, variables: variableValues }) => {
    const document = documentOf(query);
    return inSnapshot((client) =>
      execute({ schema, document, operationName, variableValues, contextValue: contextOf(client) }),
    );
  });
}

/** Mercurius compiles a document when it comes the second time. Its own loaders take longer than DataLoader. */
async function mercurius(port) {
  const { fastify } = await import("fastify");
  const { mercurius: plugin } = await import("mercurius");
  const app = fastify();
  app.register(plugin, { schema: SDL, resolvers: RESOLVERS, jit: 1, routes: false });
  app.post("/graphql", ({ body: { query, operationName, variables } }, reply) =>
    inSnapshot((client) => reply.graphql(query, contextOf(client), variables, operationName)),
  );
  await app.listen({ port, host: "127.0.0.1" });
}

/** Yoga keeps parsed and validated documents by itself; the plugin compiles them. */
async function yoga(port) {
  const { createYoga } = await import("graphql-yoga");
  const { useGraphQlJit } = await import("@envelop/graphql-jit");
  const useSnapshot = {
    onExecute({ executeFn, setExecuteFn }) {
      setExecuteFn((args) =>
        inSnapshot((client) => executeFn({ ...args, contextValue: { ...args.contextValue, ...contextOf(client) } })),
      );
    },
  };
  const handler = createYoga({
    schema: await executableSchema(),
    plugins: [useGraphQlJit(), useSnapshot],
    graphiql: false,
    landingPage: false,
    logging: false,
  });
  createServer(handler).listen(port, "127.0.0.1");
}

/** No GraphQL: the seven statements of a nested page, or the one of a flat page, and objects by hand. */
async function bare(port) {
  serve(port, ({ operationName, variables }) =>
    inSnapshot(async (client) => {
      const { account, first } = variables;
      const nodes =
        operationName === "Flat"
          ? await rows(client, FLAT_PAGE, account, first)
          : await nested(client, await rows(client, PAGE, account, first));
      return { data: { locations: { nodes } } };
    }),
  );
}

async function nested(client, page) {
  const ids = page.map(({ id }) => id);
  const accounts = new Map();
  for (const account of await rows(client, ACCOUNTS, [...new Set(page.map((row) => row.account_id))])) {
    accounts.set(account.id, account);
  }
  const contacts = new Map(ids.map((id) => [id, []]));
  for (const { location_id, id, purpose, fullName, email, phone } of await rows(client, CONTACTS, ids)) {
    contacts.get(location_id).push({ id, purpose, fullName, email, phone });
  }
  const found = await rows(client, DEVICES, ids);
  const hours = new Map(ids.map((id) => [id, []]));
  for (const { location_id, weekday, opens, closes } of await rows(client, HOURS, ids)) {
    hours.get(location_id).push({ weekday, opens, closes });
  }
  const rings = await rows(client, EXTENSIONS, found.map(({ id }) => id));
  const people = new Map();
  const wanted = new Set(rings.map((row) => row.person_id).filter(Boolean));
  for (const person of await rows(client, PEOPLE, [...wanted])) people.set(person.id, person);
  const extensions = new Map();
  for (const { device_id, id, number, person_id } of rings) {
    extensions.set(device_id, { id, number, person: people.get(person_id) ?? null });
  }
  const devices = new Map(ids.map((id) => [id, []]));
  for (const { location_id, id, brand, model, mac_address, label } of found) {
    const extension = extensions.get(id) ?? null;
    devices.get(location_id).push({ id, brand, model, macAddress: mac(mac_address), label, extension });
  }
  return page.map(({ id, account_id, name, status, city, timezone }) => ({
    id,
    name,
    status,
    address: { city },
    timezone,
    account: accounts.get(account_id),
    contacts: contacts.get(id),
    devices: devices.get(id),
    workingHours: hours.get(id),
  }));
}

const KINDS = { bare, "graphql-js": graphqlJs, mercurius, yoga };
await KINDS[kind](Number(port));
