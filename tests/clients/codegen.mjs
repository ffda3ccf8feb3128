// graphql-codegen's client preset for the documents in trusted/. Apollo Client and urql add __typename to every selection,
// and so does the manifest.

import { addTypenameSelectionDocumentTransform } from "@graphql-codegen/client-preset";

export default {
  schema: "../../schema.graphql",
  documents: ["trusted/*.graphql"],
  generates: {
    "__generated__/codegen/": {
      preset: "client",
      presetConfig: { persistedDocuments: true },
      documentTransforms: [addTypenameSelectionDocumentTransform],
      config: { scalars: { Date: "string", DateTime: "string", Time: "string", JSON: "unknown" }, strictScalars: true },
    },
  },
};
