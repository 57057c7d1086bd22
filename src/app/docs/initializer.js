// Opens openapi.yaml in the page, and signs what "Try it out" sends with the access key that the reader enters under
// "Authorize": the key stays in the page.
"use strict";

const base64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));
const encode = (text) => new TextEncoder().encode(text);

async function sign(request) {
  const key = request.headers?.Authorization;
  if (!key || request.loadSpec) return request;
  if (!window.crypto.subtle) throw new Error("The browser signs on https or on localhost alone: open the page there.");
  const raw = Uint8Array.from(atob(key.trim()), (character) => character.charCodeAt(0));
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", raw, algorithm, false, ["sign"]);
  const url = new URL(request.url, location.href);
  const date = new Date().toUTCString();
  const hash = base64(await crypto.subtle.digest("SHA-256", encode(request.body ?? "")));
  const text = `${request.method.toUpperCase()}\n${url.pathname}${url.search}\n${date};${url.host};${hash}`;
  const signature = base64(await crypto.subtle.sign("HMAC", imported, encode(text)));
  request.headers.Authorization = `HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=${signature}`;
  request.headers["x-ms-date"] = date;
  request.headers["x-ms-content-sha256"] = hash;
  return request;
}

window.onload = () => {
  window.ui = SwaggerUIBundle({
    // From where the page is, so that it is found behind a proxy's path, too.
    url: "../openapi.yaml",
    dom_id: "#swagger-ui",
    deepLinking: true,
    layout: "BaseLayout",
    presets: [SwaggerUIBundle.presets.apis],
    // Which would be somebody else's.
    validatorUrl: "none",
    requestInterceptor: sign,
  });
};
