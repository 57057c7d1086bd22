// Tokens as an application's own server makes them.
import { createHmac } from "node:crypto";

const encoded = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** The name and the secret of a key. */
export function parts(key) {
  const at = key.indexOf(":");
  return { name: key.slice(0, at), secret: key.slice(at + 1) };
}

/** A JWT for the claims, signed with the text of the key's secret. */
export function sign(key, claims, header = {}) {
  const { name, secret } = parts(key);
  const signed = `${encoded({ typ: "JWT", alg: "HS256", kid: name, ...header })}.${encoded(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** A token of the server's key: for whom, for what, and how many seconds from now it lives. */
export function token(server, { clientId, capability, seconds = 3600, ...others } = {}) {
  const now = Math.floor(Date.now() / 1000);
  return sign(server.ablyKey, {
    iat: now,
    exp: now + seconds,
    ...(clientId && { "x-ably-clientId": clientId }),
    ...(capability && { "x-ably-capability": JSON.stringify(capability) }),
    ...others,
  });
}

/** A token request, signed as the vendor's clients sign it. */
export function tokenRequest(server, { ttl = "", capability = "", clientId = "", timestamp = Date.now(), nonce } = {}) {
  const { name: keyName, secret } = parts(server.ablyKey);
  nonce ??= `${Math.random()}`.slice(2).padEnd(16, "0");
  const text = [keyName, ttl, capability, clientId, timestamp, nonce, ""].join("\n");
  const mac = createHmac("sha256", secret).update(text).digest("base64");
  const fields = { keyName, ttl, capability, clientId, timestamp, nonce, mac };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ""));
}
