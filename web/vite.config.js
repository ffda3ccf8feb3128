// Builds the page into files of one origin: no inlined assets (they would need data: in the content security
// policy) and module workers as files of their own. Addresses are relative: a proxy can serve the page under a path.
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 8000,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    target: "es2022",
  },
  worker: { format: "es" },
});
