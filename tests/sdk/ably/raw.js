// A bare WebSocket client that shows every frame as it is, in either format.
import { once } from "node:events";
import { decode, encode } from "@msgpack/msgpack";
import WebSocket from "ws";
import { Log, within } from "./waiting.js";

export const ACTION = {
  HEARTBEAT: 0, ACK: 1, NACK: 2, CONNECTED: 4, DISCONNECT: 5, DISCONNECTED: 6, CLOSE: 7, CLOSED: 8, ERROR: 9,
  ATTACH: 10, ATTACHED: 11, DETACH: 12, DETACHED: 13, PRESENCE: 14, MESSAGE: 15, SYNC: 16, AUTH: 17,
};
export const FLAG = {
  HAS_PRESENCE: 1, RESUMED: 4,
  PRESENCE: 1 << 16, PUBLISH: 1 << 17, SUBSCRIBE: 1 << 18, PRESENCE_SUBSCRIBE: 1 << 19,
  ANNOTATION_PUBLISH: 1 << 21, ANNOTATION_SUBSCRIBE: 1 << 22,
};
export const PRESENCE = { PRESENT: 1, ENTER: 2, LEAVE: 3, UPDATE: 4 };
/** What a chat room asks for. */
export const ROOM_MODES = 3080192;
export const JSON_FORMAT = { useBinaryProtocol: false };

/** The channel of a room. */
export function channelOf(room) {
  return `${room}::$chat`;
}

/** Opens a connection; it is cut when the test `t` ends. Every frame from the server goes to `frames`. */
export async function dial(t, server, { useBinaryProtocol = false, ...params } = {}) {
  const format = useBinaryProtocol ? "msgpack" : "json";
  const credential = params.access_token ? {} : { key: server.ablyKey };
  const query = new URLSearchParams({ ...credential, format, heartbeats: "false", v: "6", ...params });
  for (const [name, value] of Object.entries(params)) if (value === undefined) query.delete(name);
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/?${query}`, { perMessageDeflate: false });
  t.after(() => socket.terminate());
  const frames = new Log();
  socket.on("message", (bytes, binary) => {
    // A frame in the wrong format is recorded as what it is, so that whoever waits for a frame sees it.
    if (binary !== useBinaryProtocol) return frames.push({ wrongFormat: bytes });
    frames.push(binary ? decode(bytes) : JSON.parse(bytes));
  });
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.on("error", () => {});
  await within(once(socket, "open"), "the socket to open");

  let serial = 0;
  const connection = {
    socket,
    frames,
    send: (frame) => socket.send(useBinaryProtocol ? encode(frame) : JSON.stringify(frame)),
    /** The first frame of an action, and of a channel if one is given. */
    next: (action, channel) =>
      frames.first((frame) => frame.action === action && (channel === undefined || frame.channel === channel)),
    connected: () => connection.next(ACTION.CONNECTED),
    async attach(channel, { flags = ROOM_MODES, ...fields } = {}) {
      connection.send({ action: ACTION.ATTACH, channel, flags, ...fields });
      return await frames.first(
        ({ action, channel: at }) => at === channel && (action === ACTION.ATTACHED || action === ACTION.ERROR),
      );
    },
    /** Sends a frame that is acknowledged, and gives the ACK or the NACK. */
    async ask(frame) {
      const msgSerial = frame.msgSerial ?? serial;
      serial = msgSerial + 1;
      connection.send({ msgSerial, ...frame });
      return await connection.answer(msgSerial);
    },
    answer: (msgSerial) =>
      frames.first(
        (frame) => (frame.action === ACTION.ACK || frame.action === ACTION.NACK) && frame.msgSerial === msgSerial,
      ),
    publish: (channel, ...messages) => connection.ask({ action: ACTION.MESSAGE, channel, messages }),
    enter: (channel, item = {}) =>
      connection.ask({ action: ACTION.PRESENCE, channel, presence: [{ action: PRESENCE.ENTER, ...item }] }),
    /** Resolves when the server has handled all that was sent before. */
    async settled() {
      const id = `settled-${frames.items.length}-${serial}-${Math.random()}`;
      connection.send({ action: ACTION.HEARTBEAT, id });
      return await frames.first((frame) => frame.action === ACTION.HEARTBEAT && frame.id === id);
    },
    /** Resolves when the server has closed the socket. */
    closed: (limit) => within(closed, "the server to close the socket", limit),
    cut: () => socket.terminate(),
  };
  return connection;
}

/** A connection, attached to the channel. */
export async function dialInto(t, server, channel, { attach, ...params } = {}) {
  const connection = await dial(t, server, params);
  await connection.connected();
  await connection.attach(channel, attach);
  return connection;
}
