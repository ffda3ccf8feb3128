// What a response says about itself, in sentences: refusals (problems inside the data) and errors.

/** "LOCKED: The location is locked (APPROVED)." for every problem and error in a response's text. */
export function refusals(text) {
  const response = parsed(text);
  const errors = (response?.errors ?? []).map((error) => sentence(error.extensions?.code, error.message, error.path));
  return [...errors, ...problemsIn(response?.data)];
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // no answer yet
  }
}

function* problemsIn(value) {
  if (value === null || typeof value !== "object") return;
  for (const [key, child] of Object.entries(value)) {
    if (key === "problems" && Array.isArray(child)) yield* child.map(fromProblem);
    else if (key === "problem" && child) yield fromProblem(child);
    else yield* problemsIn(child);
  }
}

function fromProblem({ code, message, path }) {
  return code || message ? sentence(code, message, path) : "Refused. Select the problem's code and message to read why.";
}

function sentence(code, message, path) {
  const where = path?.length ? ` (at ${path.join(".")})` : "";
  return [code, message].filter(Boolean).join(": ") + where;
}
