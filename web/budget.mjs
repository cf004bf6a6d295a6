// What a phone loads before it shows a number, packed: too much fails the check.
import { readFileSync } from "node:fs";
import { brotliCompressSync } from "node:zlib";

const FIRST_LOAD_MAX = 60_000;
const folder = process.argv[2] ?? "dist";
const files = ["index.html", "app.js", "app.css"];
const size = files.reduce((sum, name) => sum + brotliCompressSync(readFileSync(`${folder}/${name}`)).length, 0);
console.log(`first load: ${size} of ${FIRST_LOAD_MAX} bytes as brotli`);
process.exit(size <= FIRST_LOAD_MAX ? 0 : 1);
