// Makes docs/openapi-page.png again; `pngquant` makes it small.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { open, start } from "./support.js";

const FILE = fileURLToPath(new URL("../../docs/openapi-page.png", import.meta.url));
const server = await start();
const { page, close } = await open({ width: 1200, height: 1000 });
await page.goto(`${server.http}/docs/`, { waitUntil: "networkidle" });
await page.locator(".opblock").first().waitFor();
await page.screenshot({ path: FILE });
await close();
await server.stop();
execFileSync("pngquant", ["--force", "--output", FILE, "64", FILE]);
