// The page at /docs, in a real browser.
import assert from "node:assert/strict";
import { after, afterEach, beforeEach, test } from "node:test";
import { open, start } from "./support.js";

const server = await start();
after(() => server.stop());

let browser;
beforeEach(async () => {
  browser = await open();
});
afterEach(() => browser.close());

test("the page shows every operation of openapi.yaml", async () => {
  const { page, complaints } = browser;
  const document = await (await fetch(`${server.http}/openapi.yaml`)).text();
  const operations = document.match(/^ +operationId: .*$/gm).map((line) => line.split(": ")[1]);

  await page.goto(`${server.http}/docs`);
  await page.locator(".opblock").first().waitFor();

  assert.match(await page.locator(".info .title").innerText(), /^Roomkeeper/);
  const shown = await page.locator(".opblock").evaluateAll((blocks) => blocks.map((block) => block.id));
  const missing = operations.filter((id) => !shown.some((block) => block.endsWith(`-${id}`)));
  assert.deepEqual([missing, shown.length], [[], operations.length]);
  assert.deepEqual(complaints, []);
});

test("an operation opens and shows its parameters and answers", async () => {
  const { page, complaints } = browser;

  await page.goto(`${server.http}/docs/`);
  await page.locator("#operations-Rooms-Rooms_Create .opblock-summary-control").click();

  const opened = page.locator("#operations-Rooms-Rooms_Create .opblock-body");
  await opened.getByText("Repeatability-Request-ID").first().waitFor();
  const statuses = await opened.locator(".response-col_status").allInnerTexts();
  assert.ok(["201", "400", "412"].every((status) => statuses.some((told) => told.startsWith(status))), String(statuses));
  assert.deepEqual(complaints, []);
});

test("the page asks nobody but the service that it comes from", async () => {
  const { page, requests } = browser;

  await page.goto(`${server.http}/docs/`);
  await page.locator(".opblock").first().waitFor();
  await page.waitForLoadState("networkidle");

  assert.ok(requests.includes(`${server.http}/openapi.yaml`), String(requests));
  assert.deepEqual(requests.filter((url) => !url.startsWith(`${server.http}/`) && !url.startsWith("data:")), []);
});

test("a room is made on the page, with the access key that the reader enters", async () => {
  const { page, complaints } = browser;
  await page.goto(`${server.http}/docs/`);

  await page.locator(".btn.authorize").first().click();
  const scheme = page.locator(".auth-container", { hasText: "Authorization" }).first();
  await scheme.locator("input").fill(server.accessKey);
  await scheme.getByRole("button", { name: "Apply credentials" }).click();
  await page.locator(".btn-done").first().click();
  const create = page.locator("#operations-Rooms-Rooms_Create");
  await create.locator(".opblock-summary-control").click();
  await create.locator(".try-out__btn").click();
  await create.locator(".execute").click();

  const live = create.locator(".live-responses-table .response").first();
  await live.waitFor();
  assert.match(await live.locator(".response-col_status").innerText(), /^201/);
  assert.match(await live.innerText(), /"id": "[0-9]{18}"/);
  assert.deepEqual(complaints, []);
});
