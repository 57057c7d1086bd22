// A TCP proxy between a client and the server that can do to a connection what networks do.
import { once } from "node:events";
import { connect, createServer } from "node:net";

/** A proxy before a server. It ends when the test `t` ends. */
export async function proxy(t, server) {
  const pairs = new Set();
  let open = true;
  const listener = createServer({ pauseOnConnect: true }, (client) => {
    if (!open) return client.destroy();
    const pair = { client, upstream: connect(server.port, "127.0.0.1"), heard: true, told: true };
    pairs.add(pair);
    const { upstream } = pair;
    for (const socket of [client, upstream]) socket.setNoDelay(true);
    client.on("data", (bytes) => pair.heard && upstream.write(bytes));
    upstream.on("data", (bytes) => pair.told && client.write(bytes));
    for (const [one, other] of [[client, upstream], [upstream, client]]) {
      one.on("error", () => {});
      one.on("close", () => {
        pairs.delete(pair);
        other.destroy();
      });
    }
    client.resume();
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const proxy = {
    ...server,
    port: listener.address().port,
    /** Cuts every connection, as a lost network does; the client may come back at once. */
    cut() {
      for (const { client, upstream } of pairs) {
        client.destroy();
        upstream.destroy();
      }
    },
    /** Cuts every connection, and lets nobody in. */
    close() {
      open = false;
      proxy.cut();
    },
    open() {
      open = true;
    },
    /** From here on what the server says on these connections is lost. */
    muteServer() {
      for (const pair of pairs) pair.told = false;
    },
    /** From here on what the clients say on these connections is lost. */
    muteClient() {
      for (const pair of pairs) pair.heard = false;
    },
    /** What the server says is held back until `thaw`; nothing is lost. */
    freeze() {
      for (const { upstream } of pairs) upstream.pause();
    },
    thaw() {
      for (const { upstream } of pairs) upstream.resume();
    },
  };
  t.after(() => {
    listener.close();
    proxy.cut();
  });
  return proxy;
}
