// A client of the generated types. Only tsc reads this file: each line under an expected error must not compile.

import type { ResultOf, VariablesOf } from "@graphql-typed-document-node/core";

import { type FragmentType, useFragment as readFragment } from "./__generated__/codegen";
import { CodeOfLocationFragmentDoc, TrustedEditDocument, TrustedLocationDocument } from "./__generated__/codegen/graphql";

type Edit = VariablesOf<typeof TrustedEditDocument>["input"];

export const edit: Edit = { locationId: "location-1", expectedRevision: 1, siteCode: null };
export const unchanged: Edit = { locationId: "location-1", expectedRevision: 1 };
// @ts-expect-error A revision is a number.
export const text: Edit = { locationId: "location-1", expectedRevision: "1" };
// @ts-expect-error The revision that was read is required.
export const blind: Edit = { locationId: "location-1", siteCode: "FRONT" };
// @ts-expect-error An input has no other fields.
export const unknown: Edit = { locationId: "location-1", expectedRevision: 1, shoeSize: 43 };

export function siteCode({ location }: ResultOf<typeof TrustedLocationDocument>): string | null {
  // @ts-expect-error The location can be null.
  readFragment(CodeOfLocationFragmentDoc, location).siteCode;
  return location ? codeOf(location) : null;
}

function codeOf(location: FragmentType<typeof CodeOfLocationFragmentDoc>): string | null {
  return readFragment(CodeOfLocationFragmentDoc, location).siteCode;
}

/** A problem of a later release has a code and a message as well. */
export function advice({ updateLocation }: ResultOf<typeof TrustedEditDocument>): string[] {
  // @ts-expect-error The payload is null if the mutation failed.
  updateLocation.problems;
  return (updateLocation?.problems ?? []).map((problem) =>
    problem.__typename === "Conflict" ? `Load revision ${problem.currentRevision}.` : problem.message,
  );
}
