// What the page at /demo does: enters a live room with npm's `ably` and `@ably/chat`, and shows who is there.
"use strict";

const { Realtime } = globalThis.Ably;
const { ChatClient } = globalThis.AblyChat;
const by = (id) => document.getElementById(id);
const form = by("attach");

/** How this page's own server is reached by the client, which takes a name without a dot for one of its vendor's. */
function options(name) {
  const { hostname, port, protocol, host, origin } = location;
  const tls = protocol === "https:";
  return {
    ...(/[.:]|^localhost$/.test(hostname) ? { endpoint: hostname } : { restHost: hostname, realtimeHost: hostname }),
    ...(tls ? { tlsPort: Number(port) || 443 } : { port: Number(port) || 80 }),
    tls,
    transports: ["web_socket"],
    authUrl: `${origin}/demo/token`, // asked again before a token expires
    authParams: { name },
    // Whether there is a network, it asks nobody else.
    disableConnectivityCheck: true,
    wsConnectivityCheckUrl: `${tls ? "wss" : "ws"}://${host}/`,
  };
}

let client; // of the room that is shown
let room;
let wish; // what was asked for last
let problem; // with it

async function attach(name, roomName) {
  client?.close();
  room = undefined;
  show();
  const own = (client = new Realtime(options(name)));
  const chat = new ChatClient(own);
  chat.connection.onStatusChange(() => own === client && show());

  const found = await chat.rooms.get(roomName, { occupancy: { enableEvents: true } });
  if (own !== client) return; // somebody was quicker, with another room
  room = found;
  room.onStatusChange(({ current }) => {
    if (room === found) show();
    if (room === found && current === "attached") showMembers();
  });
  room.occupancy.subscribe(() => room === found && show());
  room.presence.subscribe(() => room === found && showMembers());
  await found.attach();
  const counted = await found.occupancy.get();
  // What came in the meantime is newer.
  if (room === found && !room.occupancy.current) by("viewer-count").textContent = counted.connections;
}

/** All but the members, as it is now. */
function show() {
  const { state = "none", errorReason } = client?.connection ?? {};
  const isAttached = room?.status === "attached";
  by("connection-status").textContent = state;
  by("room-status").textContent = room?.status ?? "none";
  // What was overcome is not told.
  const error = (state !== "connected" && errorReason) || (!isAttached && room?.error) || problem;
  by("error").hidden = !error;
  by("error").textContent = error ? `${error.message} (${error.code ?? error.name})` : "";
  if (!isAttached) by("members").replaceChildren();
  if (!isAttached) by("viewer-count").textContent = "–";
  else if (room.occupancy.current) by("viewer-count").textContent = room.occupancy.current.connections;
  for (const id of ["enter", "leave"]) by(id).disabled = !isAttached;
}

async function showMembers() {
  const shown = room;
  const members = await shown.presence.get().catch(() => []); // it is not attached any more
  if (shown !== room || shown.status !== "attached") return;
  const isOwn = (member) => member.connectionId === client.connection.id;
  const line = (member) => {
    const item = document.createElement("li");
    item.textContent = member.clientId + (isOwn(member) ? " (you)" : "");
    return item;
  };
  members.sort((a, b) => (a.clientId < b.clientId ? -1 : 1));
  by("members").replaceChildren(...members.map(line));
}

async function ask(what) {
  [wish, problem] = [what, undefined];
  const error = await what().then(() => undefined, (error) => error);
  if (wish === what) problem = error;
  show();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const value = (name) => form.elements[name].value.trim();
  ask(() => attach(value("name"), value("room")));
});
by("enter").addEventListener("click", () => ask(() => room.presence.enter()));
by("leave").addEventListener("click", () => ask(() => room.presence.leave()));

const asked = new URLSearchParams(location.search);
form.elements.name.value = asked.get("name") ?? `guest-${Math.floor(Math.random() * 10_000)}`;
form.elements.room.value = asked.get("room") ?? "lobby";
