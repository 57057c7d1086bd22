// Makes docs/demo-page.png again; `pngquant` makes it small.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { open, start } from "./support.js";

const file = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const FILE = file("docs/demo-page.png");
const server = await start("--demo", file("examples/demo"));
const { page, tab, close } = await open({ width: 640, height: 520 });

for (const [name, shown] of [["bob", await tab()], ["ann", page]]) {
  await shown.goto(`${server.http}/demo?${new URLSearchParams({ name, room: "lobby" })}`);
  await shown.getByRole("button", { name: "Attach" }).click();
  await shown.getByRole("button", { name: "Enter" }).click();
  await shown.getByText(`${name} (you)`).waitFor();
}
await page.locator("#viewer-count", { hasText: "2" }).waitFor();
await page.screenshot({ path: FILE });

await close();
await server.stop();
execFileSync("pngquant", ["--force", "--output", FILE, "64", FILE]);
