import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: "../../../schema.graphql",
  documents: "src/*.tsx",
  generates: {
    "src/__generated__/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        futureProofEnums: true,
        strictScalars: true,
        scalars: { Date: "string", DateTime: "string", JSON: "unknown", Time: "string" },
      },
    },
  },
};

export default config;
