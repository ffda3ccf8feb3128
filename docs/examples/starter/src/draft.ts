import { useState } from "react";

import type { EditableFragment } from "./__generated__/graphql";

export const FIELDS = { name: "Name", siteCode: "Site code", timezone: "Time zone" } as const;
export type Field = keyof typeof FIELDS;
export const fields = Object.keys(FIELDS) as Field[];
export type Values = Partial<Record<Field, string>>;

/** What the user typed and has not saved. */
export interface Draft {
  /** The location as it was when it was last read. */
  read: EditableFragment;
  mine: Values;
  /** What somebody else saved meanwhile in fields of `mine`. The user has to decide. */
  theirs: Values;
  /** A new one after each change and each response. If there is no response, the next try has the same one. */
  idempotencyKey: string;
}

/** The draft that is kept under a key. It outlives the page, and a sign-in. */
export function useDraft(key: string) {
  const [draft, setDraft] = useState(() => JSON.parse(sessionStorage.getItem(key) ?? "null") as Draft | null);
  function keep(changes: Omit<Draft, "idempotencyKey">) {
    const next = Object.keys(changes.mine).length ? { ...changes, idempotencyKey: crypto.randomUUID() } : null;
    if (next) sessionStorage.setItem(key, JSON.stringify(next));
    else sessionStorage.removeItem(key);
    setDraft(next);
  }
  return [draft, keep] as const;
}

/** A draft after somebody else saved: it keeps what was typed, and has their value of each field that both changed. */
export function rebased({ read, mine }: Draft, now: EditableFragment) {
  const both = fields.filter((name) => name in mine && now[name] !== read[name] && (now[name] ?? "") !== mine[name]);
  return { read: now, mine, theirs: Object.fromEntries(both.map((name) => [name, now[name] ?? ""])) };
}
