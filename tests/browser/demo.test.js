// The page at /demo, in two tabs of a real browser.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, afterEach, beforeEach, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { backend, open, start } from "./support.js";

const folder = fileURLToPath(new URL("../../examples/demo", import.meta.url));
assert.ok(existsSync(`${folder}/node_modules`), "first: npm ci --prefix examples/demo");
const server = await start("--demo", folder);
after(() => server.stop());

let browser;
beforeEach(async () => {
  browser = await open();
});
afterEach(() => browser.close());

/** A tab that is attached, or becomes it. */
async function attach(page, name, room) {
  await page.goto(`${server.http}/demo?${new URLSearchParams({ name, room })}`);
  await page.getByRole("button", { name: "Attach" }).click();
  return page;
}

/**
 * Waits until a tab shows these viewers and members, or fails with what it shows. A member whose tab was closed
 * before it could say so is there for another 15 s.
 */
async function shows(page, count, members) {
  const wanted = { count: String(count), members };
  const shown = () =>
    page.evaluate(() => ({
      count: document.getElementById("viewer-count").textContent,
      members: [...document.querySelectorAll("#members li")].map((item) => item.textContent),
    }));
  const until = Date.now() + 30_000;
  while (!isDeepStrictEqual(await shown(), wanted) && Date.now() < until) await setTimeout(20);
  assert.deepEqual(await shown(), wanted);
}

test("two tabs count each other, and see who enters and leaves, and that one is closed", async () => {
  const { page: ann, tab, requests, complaints } = browser;
  const button = (page, name) => page.getByRole("button", { name, exact: true });

  await attach(ann, "ann", "lobby");
  await shows(ann, 1, []);
  const bob = await attach(await tab(), "bob", "lobby");
  await shows(ann, 2, []);
  await shows(bob, 2, []);

  await button(ann, "Enter").click();
  await shows(ann, 2, ["ann (you)"]);
  await shows(bob, 2, ["ann"]);
  await button(bob, "Enter").click();
  await shows(ann, 2, ["ann (you)", "bob"]);
  await shows(bob, 2, ["ann", "bob (you)"]);
  await button(ann, "Leave").click();
  await shows(bob, 2, ["bob (you)"]);

  await bob.close({ runBeforeUnload: true }); // as a person closes it
  await shows(ann, 1, []);

  assert.equal(await ann.locator("#connection-status").innerText(), "connected");
  assert.equal(await ann.locator("#room-status").innerText(), "attached");
  assert.ok(await ann.locator("#error").isHidden());
  const own = [`${server.http}/`, `${server.http.replace("http", "ws")}/`];
  assert.deepEqual(requests.filter((url) => !own.some((start) => url.startsWith(start))), []);
  assert.ok(requests.some((url) => url.startsWith(own[1])), String(requests));
  assert.deepEqual(complaints, []);
});

test("the page asks over REST how many are there, and its answer comes in an envelope", async () => {
  const { page, complaints } = browser;
  const answered = page.waitForResponse((response) => response.url().includes("/chat/v4/rooms/a%2Fb/occupancy"));

  await attach(page, "ann", "a/b");

  const answer = await answered;
  assert.equal(new URL(answer.url()).searchParams.get("envelope"), "json");
  assert.equal(answer.status(), 200);
  assert.deepEqual(await answer.json(), { statusCode: 200, headers: {}, response: { connections: 1, presenceMembers: 0 } });
  await shows(page, 1, []);
  assert.deepEqual(complaints, []);
});

test("a member whom a backend makes leave is gone from every tab", async () => {
  const { page: ann, tab, complaints } = browser;
  await attach(ann, "ann", "stage");
  const bob = await attach(await tab(), "bob", "stage");
  await ann.getByRole("button", { name: "Enter" }).click();
  await shows(bob, 2, ["ann"]);

  const authorization = `Basic ${Buffer.from(server.ablyKey).toString("base64")}`;
  const member = `${server.http}/channels/${encodeURIComponent("stage::$chat")}/presence/ann`;
  const answer = await fetch(member, { method: "DELETE", headers: { authorization } });

  assert.deepEqual(await answer.json(), { members: 1 });
  await shows(bob, 2, []);
  await shows(ann, 2, []);
  assert.deepEqual(complaints, []);
});

test("who is there is shown again when a connection broke off and came back", async () => {
  const { page: ann, tab, complaints } = browser;
  const sockets = [];
  await ann.routeWebSocket("**", (socket) => sockets.push([socket, socket.connectToServer()]));
  await attach(ann, "ann", "again");
  const bob = await attach(await tab(), "bob", "again");
  await bob.getByRole("button", { name: "Enter" }).click();
  await shows(ann, 2, ["bob"]);

  for (const side of sockets[0]) await side.close();
  while (sockets.length < 2) await setTimeout(20);

  await ann.locator("#connection-status", { hasText: /^connected$/ }).waitFor();
  await shows(ann, 2, ["bob"]);
  assert.ok(await ann.locator("#error").isHidden());
  assert.deepEqual(complaints, []);
});

test("another name and another room can be gone to", async () => {
  const { page, complaints } = browser;
  await attach(page, "ann", "here");
  await page.getByRole("button", { name: "Enter" }).click();
  await shows(page, 1, ["ann (you)"]);

  await page.getByLabel("Name").fill("eve");
  await page.getByLabel("Room").fill("there");
  await page.getByRole("button", { name: "Attach" }).click();
  await shows(page, 1, []);
  await page.getByRole("button", { name: "Enter" }).click();

  await shows(page, 1, ["eve (you)"]);
  assert.deepEqual(complaints, []);
});

test("the page shows why a room is refused", async () => {
  const { page } = browser;

  await attach(page, "ann", "994059543455768051"); // the id of a managed room that there is not

  await page.locator("#error").waitFor();
  assert.match(await page.locator("#error").innerText(), /\(40400\)$/);
  assert.equal(await page.locator("#room-status").innerText(), "failed");
  assert.equal(await page.locator("#viewer-count").innerText(), "–");
});

test("a participant is put out of a managed room, and reads why", async () => {
  const { page: ann, tab, complaints } = browser;
  const user = "8:acs:11111111-2222-3333-4444-555555555555_00000026-0000-1111-2222-333333333333";
  const { id } = await backend(server, "PUT", "/rooms/by-name/ward", { participants: { [user]: {} } });
  await attach(ann, user, "ward");
  await ann.getByRole("button", { name: "Enter" }).click();
  await shows(ann, 1, [`${user} (you)`]);
  const stranger = await attach(await tab(), "bob", "ward");
  await stranger.locator("#error", { hasText: "not on the room's roster" }).waitFor();

  await backend(server, "PATCH", `/rooms/${id}/participants`, { participants: { [user]: null } });

  await ann.locator("#error", { hasText: "not on the room's roster (40320)" }).waitFor();
  assert.equal(await ann.locator("#room-status").innerText(), "failed");
  await shows(ann, "–", []);
  assert.deepEqual(complaints, []);
});
