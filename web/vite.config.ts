// One script, one style sheet, names that do not change: the binary embeds them and tells versions apart by their content.
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  // Preact's runtime is said here because the bundler does not read it from tsconfig in every mode.
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    reportCompressedSize: false,
    rollupOptions: {
      output: { entryFileNames: "app.js", chunkFileNames: "[name].js", assetFileNames: "app[extname]", codeSplitting: false },
    },
  },
});
